"""The embedded profile end to end: real models, real time, short recordings."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicebot.audio.files import read_audio
from voicebot.bench.callers import Caller, load_callers, recorded_callers_dir
from voicebot.bench.conversation import RunnerRules
from voicebot.bench.record import BREAKDOWN_STAGES, TurnRecord, from_json, validate_run
from voicebot.bench.runner import BenchRunner, Measurements
from voicebot.bench.statistics import word_errors
from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.choice import choose_profile
from voicebot.config import Settings, TtsSettings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.models.registry import PROFILES
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.text.normalise import normalise_words

pytestmark = pytest.mark.models

SHARED = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture(scope="module")
def store() -> ModelStore:
    found = ModelStore(default_models_dir())
    for name in PROFILES["embedded"]:
        if not found.is_ready(name):
            pytest.skip(f"{name} is not here: run voicebot models pull")
    return found


def converse(
    callers: list[Caller], store: ModelStore, settings: Settings | None = None
) -> list[TurnRecord]:
    settings = settings or Settings(profile="embedded")
    measured = Measurements()

    async def main() -> None:
        async with running_stages(
            engine_factories(choose_profile(settings), settings, store), stage_timeout_s=30.0
        ) as stages:
            runner = BenchRunner(
                stages,
                session_rules=session_rules(settings),
                make_history=lambda: new_history(settings),
                rules=RunnerRules(warmup_turns=0),
                on_turn=lambda turn: None,
            )
            await runner.run(callers, measured)

    asyncio.run(main())
    return measured.turns


def check(turns: list[TurnRecord]) -> None:
    for turn in turns:
        assert turn.failure is None
        assert not turn.missed
        assert turn.outcome == "answered"
        assert turn.reply
        assert turn.heard
        assert turn.voice_to_voice_ms is not None
        assert turn.breakdown_ms is not None
        assert turn.breakdown_ms.total_ms == pytest.approx(turn.voice_to_voice_ms, abs=0.01)
        assert turn.marks["commit"] <= turn.marks["audible"]
        assert set(BREAKDOWN_STAGES) == {"endpoint", "asr", "llm", "tts", "output", "unattributed"}


def test_the_shipped_callers_are_understood_and_answered(store: ModelStore) -> None:
    callers = load_callers(recorded_callers_dir())
    chosen = [next(c for c in callers if c.kind == kind) for kind in ("question", "exchange")]
    turns = converse(chosen, store)
    assert len(turns) == 3
    check(turns)
    errors, words = word_errors(
        [(turn.text or "", turn.transcript) for turn in turns], normalise_words
    )
    assert errors / words < 0.5
    assert "paris" in turns[1].reply.lower()


def test_a_piper_voice_answers(store: ModelStore, tmp_path: Path) -> None:
    tool = Path(__file__).parents[1] / "tools" / "make_tiny_piper.py"
    voice = tmp_path / "hum.onnx"
    subprocess.run([sys.executable, tool, voice], check=True)
    settings = Settings(tts=TtsSettings(engine="piper", model=str(voice)))
    callers = load_callers(recorded_callers_dir(), kind="question", limit=1)
    turns = converse(callers, store, settings)
    check(turns)
    assert [turn.heard for turn in turns] == [turn.reply for turn in turns]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not beside the project")
def test_people_are_answered(store: ModelStore) -> None:
    callers = load_callers(SHARED, kind="question", limit=2)
    check(converse(callers, store))


def test_ctrl_c_keeps_what_was_measured(store: ModelStore, tmp_path: Path) -> None:
    del store
    bench = subprocess.Popen(
        [
            *(sys.executable, "-m", "voicebot", "--profile", "embedded", "bench"),
            *("--set", "bench.warmup_turns=0", "--out", str(tmp_path)),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert bench.stderr is not None
    for line in bench.stderr:
        if line.strip().startswith("1/"):
            break
    bench.send_signal(signal.SIGINT)
    output, _ = bench.communicate(timeout=60)
    assert bench.returncode == 130
    data = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    validate_run(data)
    assert data["partial"] is True
    assert len(from_json(data).turns) >= 1
    assert "report.html" in output


def test_chat_answers_a_recording_and_writes_the_answer(store: ModelStore, tmp_path: Path) -> None:
    del store
    answer = tmp_path / "answer.wav"
    question = load_callers(recorded_callers_dir(), kind="question")[0].turns[0].path
    done = subprocess.run(
        [
            *(sys.executable, "-m", "voicebot", "--profile", "embedded"),
            *("chat", "--input", question, "--output", answer),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "You: how many days" in done.stdout
    assert "Bot: " in done.stdout
    assert abs(read_audio(answer).samples).max() > 0.05
