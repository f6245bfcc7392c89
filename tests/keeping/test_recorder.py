"""Recordings of a conversation: aligned, bounded, and callers that a bench can play again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from conversations import RATE_HZ, scripted, silence, speech, tone
from test_session_interruptions import REPLY, TurnByTurnAsr
from voicebot.audio.blocks import AudioBlock
from voicebot.audio.loudness import audible_spans
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.bench.callers import load_callers
from voicebot.bench.meta import run_meta
from voicebot.bench.record import AudioPath, RunMeta, read_run
from voicebot.engines.scripted import ScriptedLlm, ScriptedTts
from voicebot.errors import OutputError
from voicebot.history import History
from voicebot.input_gate import InputGate
from voicebot.keeping.bot_track import BotTrack
from voicebot.keeping.recorder import Recorder, prepare_folder
from voicebot.session import Session, SessionRules
from voicebot.turns.interruption import BargeInMode, InterruptionRules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from voicebot.audio.samples import Samples

    Run = Callable[[Any], Any]


def make_meta() -> RunMeta:
    return run_meta(
        profile="tests",
        config={},
        models=[],
        audio=AudioPath("virtual microphone", "virtual loudspeaker", 10, 20),
        started_at=datetime.now(UTC),
        startup_s=None,
        commit=None,
        loop_stall_p95_ms=None,
        true_ends="estimated",
    )


@dataclass
class Recorded:
    folder: Path
    failures: list[Any]
    starts_s: list[float]
    played: list[tuple[float, float]]
    samples: Samples
    origin_s: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        lines = (self.folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


class OtherRateTts(ScriptedTts):
    """Speaks at a rate that is not the recording's."""

    @property
    def sample_rate_hz(self) -> int:
        return 22_050


async def recorded(
    folder: Path,
    clips: Sequence[tuple[float, Samples]],
    *texts: str,
    tts: ScriptedTts | None = None,
    keys: Sequence[tuple[float, Callable[[Session], object]]] = (),
    listen_s: float = 8.0,
    mode: BargeInMode = BargeInMode.INTERRUPT,
) -> Recorded:
    prepare_folder(folder)
    loop = asyncio.get_running_loop()
    stages = scripted(
        asr=TurnByTurnAsr(*(texts or ("count",))),
        llm=ScriptedLlm({"count": REPLY}, default="fine then."),
        tts=tts or ScriptedTts(),
    )
    microphone = VirtualMicrophone(block_ms=10)
    speaker = VirtualSpeaker(stages.tts.sample_rate_hz, block_ms=10, output_latency_ms=20)
    failures: list[Any] = []
    recorder = Recorder(folder, speaker, on_failure=failures.append)
    gate = InputGate(microphone)
    gate.add_listener(recorder.observe_block)
    origin: list[float] = []
    gate.add_listener(lambda block: origin.append(block.start_s) if not origin else None)
    session = Session(
        gate,
        recorder.sink,
        stages,
        history=History("", max_tokens=10_000),
        rules=SessionRules(interruption=InterruptionRules(mode=mode)),
        notify=recorder.observe,
    )
    starts_s = [microphone.play(samples, not_before_s=at_s) for at_s, samples in clips]
    running = asyncio.create_task(session.run())
    for at_s, key in keys:
        loop.call_at(at_s, key, session)
    await asyncio.sleep(clips[-1][0] + len(clips[-1][1]) / RATE_HZ + listen_s)
    microphone.close()
    await running
    ticking = asyncio.create_task(_tick())  # virtual time goes on while a thread works
    await recorder.close(lambda _: make_meta())
    ticking.cancel()
    rate_hz = speaker.sample_rate_hz
    played = [
        (item.start_s + first / rate_hz, item.start_s + last / rate_hz)
        for item in speaker.take_played()
        for first, last in audible_spans(item.samples, rate_hz)
    ]
    samples = np.zeros((0, 2), dtype=np.float32)
    with contextlib.suppress(soundfile.LibsndfileError):
        samples, _ = soundfile.read(folder / "conversation.wav", dtype="float32")
    return Recorded(folder, failures, starts_s, played, samples, origin[0])


def test_a_wait_that_was_chosen_is_no_latency(virtual_time: Run, tmp_path: Path) -> None:
    clips = [(0.5, speech(1.0)), (3.2, tone(1.0))]
    virtual_time(
        recorded(tmp_path / "r", clips, "count", "no wait", listen_s=14.0, mode=BargeInMode.NEVER)
    )
    run = read_run(tmp_path / "r" / "run.json")
    first, waited = run.turns
    assert first.voice_to_voice_ms is not None
    assert waited.outcome == "answered"
    assert waited.voice_to_voice_ms is waited.breakdown_ms is None
    assert run.summary.voice_to_voice_ms.p50 == pytest.approx(first.voice_to_voice_ms)


async def _tick() -> None:
    while True:  # noqa: ASYNC110  # it is time itself
        await asyncio.sleep(0.001)


TALK = [(0.5, speech(1.0)), (3.5, tone(0.3)), (8.0, speech(0.75, 0.2, 0.75))]


@pytest.mark.parametrize("tts", [ScriptedTts(), OtherRateTts()])
def test_both_sides_are_aligned(virtual_time: Run, tmp_path: Path, tts: ScriptedTts) -> None:
    talk = virtual_time(recorded(tmp_path / "r", TALK, "count", "okay", "more", tts=tts))
    assert talk.failures == []
    user, bot = talk.samples[:, 0], talk.samples[:, 1]
    spoken = np.concatenate([samples for _, samples in TALK])
    for (_, samples), starts_s in zip(TALK, talk.starts_s, strict=True):
        at = round((starts_s - talk.origin_s) * RATE_HZ)
        assert np.abs(user[at : at + len(samples)] - samples).max() < 0.001
    assert len(spoken) < len(user)
    spans = [
        (talk.origin_s + first / RATE_HZ, talk.origin_s + last / RATE_HZ)
        for first, last in audible_spans(bot, RATE_HZ)
    ]
    assert np.array(spans) == pytest.approx(np.array(talk.played), abs=0.011)


def test_each_turn_is_a_caller(virtual_time: Run, tmp_path: Path) -> None:
    talk = virtual_time(recorded(tmp_path / "r", TALK, "count", "okay", "more"))
    (caller,) = load_callers(talk.folder)
    assert [turn.name for turn in caller.turns] == [f"turns/000{n}.wav" for n in (1, 2, 3)]
    at_s = 0.0
    for index, turn in enumerate(caller.turns):
        at_s = at_s + (turn.gap_s or 0.0) if index else talk.rows[0]["at_s"]
        assert at_s == pytest.approx(talk.rows[index]["at_s"], abs=0.002)
        starts_s = talk.starts_s[index] - talk.origin_s
        assert at_s + turn.start_s == pytest.approx(starts_s, abs=0.04)
        at_s += turn.duration_s
    assert len(caller.turns[2].speech) == 2
    (_, first_end_s), (second_start_s, _) = caller.turns[2].speech
    assert second_start_s - first_end_s == pytest.approx(0.2, abs=0.065), "to two frames"
    assert [row["transcript"] for row in talk.rows] == ["count", "okay", "more"]
    assert [row["outcome"] for row in talk.rows] == ["answered", "acknowledged", "answered"]
    assert all(turn.text is None for turn in caller.turns), "nobody has written down what was said"


def test_the_run_is_that_of_the_real_conversation(virtual_time: Run, tmp_path: Path) -> None:
    talk = virtual_time(recorded(tmp_path / "r", TALK, "count", "okay", "more"))
    run = read_run(talk.folder / "run.json")
    first, acknowledgement, last = run.turns
    assert [turn.outcome for turn in run.turns] == ["answered", "acknowledged", "answered"]
    reply_s = talk.played[0][0]
    assert first.voice_to_voice_ms == pytest.approx(
        (reply_s - talk.starts_s[0] - 1.0) * 1000, abs=40
    )
    assert first.audible_s is not None
    assert talk.rows[0]["at_s"] + first.audible_s == pytest.approx(
        reply_s - talk.origin_s, abs=0.002
    )
    assert first.breakdown_ms is not None
    assert first.breakdown_ms.total_ms == pytest.approx(first.voice_to_voice_ms)
    assert acknowledgement.yield_ms is not None
    assert last.transcript == "more"
    assert run.summary.turns == 3


def test_a_merged_turn_is_one_caller(virtual_time: Run, tmp_path: Path) -> None:
    talk = virtual_time(recorded(tmp_path / "r", [(0.5, speech(0.75, 0.8, 1.0))], "count"))
    (caller,) = load_callers(talk.folder)
    (turn,) = caller.turns
    assert len(turn.speech) == 2


def test_what_is_typed_or_noise_is_no_caller(virtual_time: Run, tmp_path: Path) -> None:
    keys = [(7.0, lambda s: s.answer_text("hello")), (9.0, lambda s: s.repeat())]
    clips = [(0.5, speech(1.0)), (11.5, tone(0.07))]
    talk = virtual_time(recorded(tmp_path / "r", clips, "count", "", keys=keys))
    assert [row["transcript"] for row in talk.rows] == ["count"]
    assert len(read_run(talk.folder / "run.json").turns) == 1


def test_a_crash_loses_no_more_than_a_second(virtual_time: Run, tmp_path: Path) -> None:
    """What is on the disk in the middle of a conversation can be read as it is."""

    async def look() -> tuple[float, int]:
        folder = tmp_path / "r"
        seen: list[tuple[float, int]] = []

        def read(_: Session) -> None:
            _wait_for_writer(folder)
            info = soundfile.info(folder / "conversation.wav")
            rows = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
            seen.append((info.duration, len(rows)))

        await recorded(folder, TALK, "count", "okay", "more", keys=[(7.9, read)])
        return seen[0]

    duration_s, rows = virtual_time(look())
    assert 6.8 <= duration_s <= 7.9
    assert rows == 2


def _wait_for_writer(folder: Path) -> None:
    import time  # noqa: PLC0415  # only here

    for _ in range(200):
        rows = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        if len(rows) == 2 and soundfile.info(folder / "conversation.wav").duration > 6.8:
            return
        time.sleep(0.01)


def test_memory_does_not_grow(virtual_time: Run, tmp_path: Path) -> None:
    async def hour() -> int:
        speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
        prepare_folder(tmp_path / "r")
        recorder = Recorder(tmp_path / "r", speaker, on_failure=lambda _: None)
        held = 0
        for index in range(1800):
            await asyncio.sleep(1.0)
            if index % 3 == 0:
                recorder.sink.begin()
                recorder.sink.write(tone(0.5))
                speaker.take_played()
            recorder.observe_block(AudioBlock(silence(1.0), float(index)))
            held = max(held, sum(map(len, recorder._user)) + len(recorder._bot._stretches))
        ticking = asyncio.create_task(_tick())
        await recorder.close(lambda _: make_meta())
        ticking.cancel()
        return held

    assert virtual_time(hour()) < 3 * RATE_HZ
    assert soundfile.info(tmp_path / "r" / "conversation.wav").duration == 1800


@pytest.mark.parametrize("gap_s", [0.3, -0.2, 0.004])
def test_the_microphone_s_clock_is_followed(
    virtual_time: Run, tmp_path: Path, gap_s: float
) -> None:
    async def drift() -> None:
        prepare_folder(tmp_path / "r")
        speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
        recorder = Recorder(tmp_path / "r", speaker, on_failure=lambda _: None)
        recorder.observe_block(AudioBlock(silence(1.0), 10.0))
        recorder.observe_block(AudioBlock(tone(1.0), 11.0 + gap_s))
        ticking = asyncio.create_task(_tick())
        await recorder.close(lambda _: make_meta())
        ticking.cancel()

    virtual_time(drift())
    samples, _ = soundfile.read(tmp_path / "r" / "conversation.wav")
    wanted_s = 2.0 + (gap_s if abs(gap_s) > 0.01 else 0.0)
    assert len(samples) == pytest.approx(wanted_s * RATE_HZ, abs=1)


def test_a_recording_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    prepare_folder(folder)
    prepare_folder(folder)  # nothing was recorded: the conversation did not begin
    (folder / "manifest.jsonl").touch()
    prepare_folder(folder)
    (folder / "manifest.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(OutputError, match="holds a recording already"):
        prepare_folder(folder)
    (folder / "manifest.jsonl").unlink()
    (folder / "conversation.wav").touch()
    with pytest.raises(OutputError, match="holds a recording already"):
        prepare_folder(folder)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        prepare_folder(tmp_path / "file")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_costs_the_recording_and_not_the_conversation(
    virtual_time: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "r"

    def full(*_: object) -> None:
        with open("/dev/full", "wb", buffering=0) as disk:  # noqa: PTH123
            disk.write(b"x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "_append", full)
        done = virtual_time(recorded(folder, TALK, "count", "okay", "more"))
    assert len(done.failures) == 1
    assert "No space left" in str(done.failures[0])
    assert len(done.played) >= 2, "the conversation went on"


def test_a_track_forgets_what_was_cut() -> None:
    track = BotTrack(RATE_HZ)
    track.add(1.0, tone(0.5))
    track.add(1.5 + 0.001, tone(0.5))  # a device's estimate moved a little
    track.cut(1.25)
    track.add(3.0, tone(0.5))
    sound = track.render(0.0, 4 * RATE_HZ)
    spans = [(first / RATE_HZ, last / RATE_HZ) for first, last in audible_spans(sound, RATE_HZ)]
    assert spans == [(1.0, 1.25), (3.0, 3.5)]
    assert [item.start_s for item in track.take_played(3.2)] == [1.0]
    assert [item.start_s for item in track.take_played(9.0)] == [3.0]
    assert track.take_played(99.0) == []
