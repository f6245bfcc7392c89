"""The bot in a simulated room, with its real voice, voice activity and echo cancellation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.audio.echo import VoiceProcessing
from voicebot.audio.room import Room
from voicebot.bench.callers import recorded_callers_dir
from voicebot.models.store import ModelStore, default_models_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import ModuleType

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

pytestmark = pytest.mark.models

TOOL = Path(__file__).parents[2] / "tools" / "measure_echo.py"
NOTHING = VoiceProcessing(echo_cancellation=False, noise_suppression=False, gain_control=False)


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    if not ModelStore(default_models_dir()).is_ready("silero-vad-v6"):
        pytest.skip("the voice activity model is not here: run voicebot models pull")
    spec = importlib.util.spec_from_file_location("measure_echo", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_echo"] = module  # its dataclasses look there for their annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules["measure_echo"]


def test_it_does_not_interrupt_itself_at_full_volume(virtual_time: Run, tool: ModuleType) -> None:
    vad, question = tool.load_vad(), tool.load_question()

    async def alone(processing: VoiceProcessing, replies: int) -> Any:
        scene = tool.open_scene(Room(), processing, tool.REPLIES, vad)
        return await tool.listen_to_itself(scene, question, replies)

    cancelled = virtual_time(alone(VoiceProcessing(), 10))
    assert cancelled.replies == 10
    assert cancelled.self_interruptions == 0
    assert cancelled.erle_db > 25
    assert virtual_time(alone(NOTHING, 1)).held > 0, "without cancellation it does"


def test_people_who_talk_over_it_are_heard(virtual_time: Run, tool: ModuleType) -> None:
    vad, question = tool.load_vad(), tool.load_question()
    people = tool.load_people(recorded_callers_dir(), "question", 3, -20.0)

    async def over() -> Any:
        scene = tool.open_scene(Room(), VoiceProcessing(), (tool.LONG_REPLY,), vad)
        return await tool.talk_over(scene, question, people)

    done = virtual_time(over())
    assert done.people == 3
    assert done.heard == done.interrupted == 3
    assert done.too_early == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["alone", "--processing", "ehco"], "--processing: unknown: 'ehco'"),
        (["alone", "--replies", "0"], "--replies is 0: give 1 or more"),
        (["over", "--people", "-3"], "--people is -3: give 1 or more"),
        (["alone", "--rt60-s", "0"], "--rt60-s is 0: give seconds above 0"),
        (["over", "--callers", "gone"], "gone"),
        (["over", "--kinds", "nonsense"], "nonsense"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    tool: ModuleType,
    arguments: list[str],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_echo.py", *arguments])
    with pytest.raises(SystemExit) as raised:
        tool.main()
    assert raised.value.code == 2
    *_, told = capsys.readouterr().err.splitlines()
    assert told.startswith("measure_echo.py: error: ")
    assert line in told
