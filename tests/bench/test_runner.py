"""The runner with scripted stages, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio.files import write_wav
from voicebot.bench.callers import Background, Caller, CallerTurn, ReplyCue
from voicebot.bench.conversation import RunnerRules
from voicebot.bench.meters import ProcessMeter
from voicebot.bench.runner import BenchRunner, Measurements
from voicebot.engines.scripted import (
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.history import History
from voicebot.session import SessionRules
from voicebot.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RATE_HZ = 16_000


def clip(folder: Path, name: str, *speech: tuple[float, float]) -> CallerTurn:
    samples = np.zeros(round((speech[-1][1] + 0.5) * RATE_HZ), dtype=np.float32)
    for start, end in speech:
        time_s = np.arange(round(start * RATE_HZ), round(end * RATE_HZ)) / RATE_HZ
        samples[round(start * RATE_HZ) : round(end * RATE_HZ)] = 0.3 * np.sin(1200 * time_s)
    write_wav(folder / name, samples, RATE_HZ)
    return CallerTurn(name, folder / name, "question", len(samples) / RATE_HZ, speech)


def single(turn: CallerTurn) -> Caller:
    return Caller(turn.name, turn.kind, (turn,))


def runner(llm: ScriptedLlm | None = None, **rules: Any) -> BenchRunner:
    stages = Stages(
        vad=ScriptedVad(),
        turn_detector=ScriptedTurnDetector(),
        asr=ScriptedAsr(),
        llm=llm or ScriptedLlm(),
        tts=ScriptedTts(),
    )
    return BenchRunner(
        stages,
        session_rules=SessionRules(),
        make_history=lambda: History("be brief", max_tokens=1000),
        rules=RunnerRules(**{"warmup_turns": 0, **rules}),
        on_turn=lambda turn: None,
    )


def test_each_turn_is_recorded_once_and_answered(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    callers = [single(clip(tmp_path, f"{name}.wav", (0.3, 1.3))) for name in "ab"]
    measured = Measurements()
    virtual_time(runner().run(callers, measured))
    assert [turn.caller for turn in measured.turns] == ["a.wav", "b.wav"]
    assert measured.is_complete
    for turn in measured.turns:
        assert turn.voice_to_voice_ms is not None
        assert 200 < turn.voice_to_voice_ms < 400
        assert turn.breakdown_ms is not None
        assert turn.breakdown_ms.total_ms == pytest.approx(turn.voice_to_voice_ms)
        assert abs(turn.breakdown_ms.unattributed) < 1
        assert turn.underruns == 0


def test_warm_up_turns_are_kept_apart(tmp_path: Path, virtual_time: Callable[[Any], Any]) -> None:
    callers = [single(clip(tmp_path, f"{name}.wav", (0.3, 1.3))) for name in "abc"]
    measured = Measurements()
    virtual_time(runner(warmup_turns=2).run(callers, measured))
    assert [turn.caller for turn in measured.warmup_turns] == ["a.wav", "b.wav"]
    assert all(turn.warmup for turn in measured.warmup_turns)
    assert len(measured.turns) == 3


def test_the_turns_of_a_conversation_share_their_history(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    llm = ScriptedLlm()
    first, second = (clip(tmp_path, f"{name}.wav", (0.3, 1.3)) for name in "ab")
    measured = Measurements()
    virtual_time(runner(llm).run([Caller("talk", "exchange", (first, second))], measured))
    assert [turn.conversation for turn in measured.turns] == ["talk", "talk"]
    assert all(turn.voice_to_voice_ms for turn in measured.turns)
    assert [message.role for message in llm.asked[-1]] == ["system", "user", "assistant", "user"]


def test_callers_do_not_share_their_history(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    llm = ScriptedLlm()
    callers = [single(clip(tmp_path, f"{name}.wav", (0.3, 1.3))) for name in "ab"]
    virtual_time(runner(llm).run(callers, Measurements()))
    assert all(len(messages) == 2 for messages in llm.asked)


def test_a_caller_who_is_not_heard_is_a_miss_and_the_run_goes_on(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    quiet = clip(tmp_path, "quiet.wav", (0.3, 1.3))
    write_wav(quiet.path, np.zeros(2 * RATE_HZ, dtype=np.float32), RATE_HZ)
    measured = Measurements()
    virtual_time(
        runner().run([single(quiet), single(clip(tmp_path, "b.wav", (0.3, 1.3)))], measured)
    )
    assert [turn.missed for turn in measured.turns] == [True, False]


def test_a_pause_inside_the_turn_is_no_turn(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    measured = Measurements()
    caller = single(clip(tmp_path, "a.wav", (0.3, 1.0), (1.6, 2.6)))
    virtual_time(runner().run([caller], measured))
    (turn,) = measured.turns
    assert turn.cut_in, "the scripted detector is always sure"
    assert turn.voice_to_voice_ms is not None
    assert turn.voice_to_voice_ms > 0


def test_what_was_measured_before_a_stop_is_kept(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    callers = [single(clip(tmp_path, f"{name}.wav", (0.3, 1.3))) for name in "abc"]
    measured = Measurements()

    async def main() -> None:
        running = asyncio.create_task(runner().run(callers, measured))
        await asyncio.wait({running}, timeout=6.0)  # in the middle of the second caller
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    virtual_time(main())
    assert len(measured.turns) == 1
    assert not measured.is_complete


def test_the_process_meter_sees_this_process() -> None:
    meter = ProcessMeter()
    assert meter.cpu_seconds() > 0
    assert meter.peak_rss_mib > 10


def test_hanging_up_shortens_only_what_is_heard_of_the_reply(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    caller = single(clip(tmp_path, "a.wav", (0.3, 1.3)))
    heard_out, hung_up = Measurements(), Measurements()
    virtual_time(runner().run([caller], heard_out))
    virtual_time(runner(hang_up_after_s=0.5).run([caller], hung_up))
    (whole,), (cut,) = heard_out.turns, hung_up.turns
    assert cut.voice_to_voice_ms == pytest.approx(whole.voice_to_voice_ms)
    assert cut.breakdown_ms == pytest.approx(whole.breakdown_ms)
    assert cut.drafts.won_ms == pytest.approx(whole.drafts.won_ms)
    assert (cut.outcome, cut.transcript, cut.missed) == ("answered", whole.transcript, False)
    (start_s, end_s) = cut.bot_audio[0]
    assert 0.5 <= end_s - start_s < 0.6
    assert whole.heard.startswith(cut.heard)
    assert len(cut.heard) < len(whole.heard)


def test_nobody_hangs_up_before_the_last_turn_or_within_the_clip(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    first, second = (clip(tmp_path, f"{name}.wav", (0.3, 1.0), (1.8, 2.6)) for name in "ab")
    measured = Measurements()
    virtual_time(
        runner(hang_up_after_s=0.0).run([Caller("talk", "exchange", (first, second))], measured)
    )
    talked, last = measured.turns
    assert talked.heard == talked.reply
    assert last.voice_to_voice_ms is not None
    assert last.cut_in, "the scripted detector is always sure"
    assert last.audible_s is not None
    assert last.audible_s > 2.6, "a reply into the pause is none to hang up on"


def test_what_a_draft_cost_and_won_is_recorded(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    measured = Measurements()
    caller = single(clip(tmp_path, "a.wav", (0.3, 1.3)))
    virtual_time(runner(ScriptedLlm(prefill_s=0.01, token_s=0.005)).run([caller], measured))
    (turn,) = measured.turns
    assert turn.drafts.used == 1
    work_ms = sum(span.end_ms - span.start_ms for span in turn.spans if span.hidden)
    assert turn.drafts.won_ms is not None
    assert turn.drafts.won_ms > 25, "10 ms of finishing, 10 of reading, 5 for each word"
    assert turn.drafts.won_ms == pytest.approx(work_ms, abs=2)
    assert turn.drafts.discarded_cpu_s == 0.0
    assert turn.cpu_s is not None


LONG = ScriptedLlm(default="This is a reply of many words that goes on for a while. " * 4)


def test_a_turn_with_a_cue_begins_into_the_reply(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    first, second, third = (clip(tmp_path, f"{name}.wav", (0.3, 1.3)) for name in "abc")
    caller = Caller("talk", "over", (first, replace(second, cue=ReplyCue(1.6)), third))
    measured = Measurements()
    virtual_time(runner(LONG, turn_gap_s=4.0).run([caller], measured))
    asked, over, later = measured.turns
    assert asked.audible_s is not None
    (begin_s, end_s), *_ = asked.bot_audio
    assert over.yield_ms is not None, "the bot was speaking when the second turn began"
    # The clip was put 1.6 s into the reply, and its speech begins 0.3 s into the clip.
    assert end_s - begin_s == pytest.approx(1.9 + over.yield_ms / 1000, abs=0.05)
    assert later.voice_to_voice_ms is not None


def test_a_turn_may_wait_for_a_word_of_the_reply(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    first, second = (clip(tmp_path, f"{name}.wav", (0.3, 1.3)) for name in "ab")
    cued = replace(second, cue=ReplyCue(0.0, at_word=7))
    measured = Measurements()
    virtual_time(runner(LONG).run([Caller("talk", "over", (first, cued))], measured))
    asked, over = measured.turns
    assert over.yield_ms is not None
    # Its speech begins 0.3 s into the clip, and the reply is held a little later.
    assert 7 <= len(asked.heard.split()) <= 12


def test_a_caller_whose_cue_never_comes_speaks_all_the_same(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    quiet, second = (clip(tmp_path, f"{name}.wav", (0.3, 1.3)) for name in "ab")
    write_wav(quiet.path, np.zeros(2 * RATE_HZ, dtype=np.float32), RATE_HZ)
    cued = replace(second, cue=ReplyCue(0.5, patience_s=2.0))
    measured = Measurements()
    virtual_time(runner().run([Caller("talk", "over", (quiet, cued))], measured))
    unheard, spoken = measured.turns
    assert unheard.missed
    assert spoken.voice_to_voice_ms is not None
    assert spoken.yield_ms is None


def test_a_background_sounds_beneath_the_whole_call(
    tmp_path: Path, virtual_time: Callable[[Any], Any]
) -> None:
    write_wav(tmp_path / "loud.wav", np.resize([0.3, -0.3], RATE_HZ).astype(np.float32), RATE_HZ)
    caller = single(clip(tmp_path, "a.wav", (0.3, 1.3)))
    measured = Measurements()
    loud = replace(caller, background=Background(tmp_path / "loud.wav"))
    faint = replace(caller, background=Background(tmp_path / "loud.wav", gain=0.001))
    virtual_time(runner().run([faint], measured))
    assert measured.turns[-1].voice_to_voice_ms is not None
    virtual_time(runner().run([loud], measured))
    assert measured.turns[-1].voice_to_voice_ms is None, "it never falls silent"
