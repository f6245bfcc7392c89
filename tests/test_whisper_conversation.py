"""A conversation whose recogniser is a real, tiny Whisper, in real time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conversations import Conversation, converse, scripted
from voicebot.builders.asr import asr_factory
from voicebot.choice import choose_profile
from voicebot.config import AsrSettings, Settings
from voicebot.engines.faster_whisper import load_faster_whisper
from voicebot.engines.streaming_recogniser import StreamingRules
from voicebot.errors import ConfigError
from voicebot.events import PartialTranscript
from voicebot.models.store import ModelStore
from voicebot.stages import ThreadedAsr
from voicebot.worker import Worker
from whisper_tools import load_tool

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Asr


class LevelVad:
    frame_samples = 512

    def probability(self, frame: Samples) -> float:
        return 0.99 if np.abs(frame).max() > 0.05 else 0.01

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


class LoopFromZero(asyncio.SelectorEventLoop):
    """Real time that begins at 0, as the clips of ``converse`` are timed."""

    def __init__(self) -> None:
        super().__init__()
        self._began_s = super().time()

    def time(self) -> float:
        return super().time() - getattr(self, "_began_s", 0.0)


async def talk(folder: Path, clips: list[tuple[float, Samples]]) -> Conversation:
    loop = asyncio.get_running_loop()
    worker: Worker[Asr] = Worker("asr", timeout_s=30.0)
    rules = StreamingRules(every_s=0.3)
    await worker.load(
        lambda: load_faster_whisper(folder, padding_s=2.5, rules=rules, vad=LevelVad())
    )
    try:
        asr = ThreadedAsr(worker, to_loop=loop.call_soon_threadsafe)
        return await converse(clips, stages=scripted(asr=asr), listen_s=4.0)
    finally:
        await worker.close(lambda engine: engine.close())


@pytest.mark.models
def test_two_turns_are_understood_and_answered(tiny_whisper: Path) -> None:
    speech = load_tool("make_tiny_whisper").tone_speech
    questions = ["please turn the light on", "turn the kitchen light on now"]
    clips = [(0.5, speech(questions[0], lead_s=0.0)), (6.0, speech(questions[1], lead_s=0.0))]
    with asyncio.Runner(loop_factory=LoopFromZero) as runner:
        conversation = runner.run(asyncio.wait_for(talk(tiny_whisper, clips), timeout=60.0))
    assert [turn.transcript for turn in conversation.closed] == questions
    assert all(turn.failure is None for turn in conversation.closed)
    assert len(conversation.bot_spans) >= 2
    partials = [partial.text for partial in conversation.of(PartialTranscript)]
    assert any(partial and partial != questions[0] for partial in partials)


def test_a_folder_is_a_model_by_its_path(untrained_whisper: Path, tmp_path: Path) -> None:
    settings = Settings(
        asr=AsrSettings(engine="faster-whisper", model=str(untrained_whisper)), language="de"
    )
    chosen = choose_profile(settings)
    assert chosen.asr.model == str(untrained_whisper)
    assert chosen.asr.model in chosen.models
    asr = asr_factory(chosen.asr, settings, ModelStore(tmp_path))()
    asr.start()
    assert asr.finish().text == ""
    asr.close()


def test_a_path_that_is_not_there_is_no_model() -> None:
    settings = Settings(asr=AsrSettings(engine="faster-whisper", model="/nowhere/whisper"))
    with pytest.raises(ConfigError, match="/nowhere/whisper"):
        choose_profile(settings)
