"""Scoring against hand-made conversations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.audio.sinks import Playback
from voicebot.bench.callers import CallerTurn
from voicebot.bench.scoring import PlayedTurn, heard_spans, heard_stretches, score
from voicebot.events import Outcome, TurnClosed
from voicebot.timeline import Mark, Part, Timeline

START_S = 100.0


def played(*speech: tuple[float, float], until_s: float = 120.0) -> PlayedTurn:
    label = CallerTurn(
        name="clip.flac",
        path=Path("clip.flac"),
        kind="question",
        duration_s=speech[-1][1] + 0.5,
        speech=speech,
        text="what time is it",
    )
    return PlayedTurn(label, START_S, until_s, None)


def closed(
    *,
    outcome: Outcome = Outcome.ANSWERED,
    speech_start_s: float = 100.3,
    speech_end_s: float = 101.0,
    commit_s: float = 101.5,
    left_s: float | None = 101.6,
    transcript: str = "what time is it",
    work_end_s: float = 101.4,
    drafts_started: int = 1,
    turn: int = 1,
) -> TurnClosed:
    timeline = Timeline()
    timeline.mark(Mark.SOFT_END, 101.1)
    timeline.span(Part.ASR, 101.1, 101.12)
    timeline.span(Part.LLM, 101.12, work_end_s - 0.01)
    timeline.span(Part.TTS, work_end_s - 0.01, work_end_s)
    if outcome is Outcome.ANSWERED:
        timeline.mark(Mark.COMMIT, commit_s)
    if left_s is not None:
        timeline.mark(Mark.WRITTEN, left_s - 0.02)
        timeline.mark(Mark.LEFT_SINK, left_s)
    return TurnClosed(
        turn=turn,
        outcome=outcome,
        transcript=transcript,
        reply="It is noon.",
        heard="It is noon.",
        speech_start_s=speech_start_s,
        speech_end_s=speech_end_s,
        timeline=timeline,
        drafts_started=drafts_started,
        drafts_discarded=0,
        discarded_tokens=0,
        failure=None,
    )


def test_the_latency_is_read_from_the_waveform_and_the_label() -> None:
    record = score(played((0.3, 1.0)), bot_spans=[(101.65, 103.0)], closed=[closed()])
    assert record.voice_to_voice_ms == pytest.approx(650)
    assert record.audible_s == pytest.approx(1.65)
    assert not record.cut_in
    assert not record.missed
    assert record.outcome == "answered"
    assert record.breakdown_ms is not None
    assert record.breakdown_ms.total_ms == pytest.approx(650)
    assert record.breakdown_ms.tts == pytest.approx(50), "leading silence is the synthesiser's"


def test_speech_of_the_bot_before_the_true_end_is_a_cut_in_with_its_overlap() -> None:
    merged = closed(outcome=Outcome.MERGED, left_s=None)
    answered = closed(
        turn=2,
        speech_start_s=101.3,
        speech_end_s=102.0,
        left_s=102.6,
        work_end_s=102.4,
        commit_s=102.5,
    )
    record = score(
        played((0.3, 1.0), (1.6, 2.0)),
        bot_spans=[(101.5, 101.8), (102.6, 104.0)],
        closed=[merged, answered],
    )
    assert record.cut_in
    assert record.overlap_ms == pytest.approx(300)
    assert record.voice_to_voice_ms == pytest.approx(600), "of the reply to the whole turn"
    assert record.drafts.started == 2
    assert record.drafts.discarded == 1


def test_a_reply_before_the_true_end_has_a_negative_latency() -> None:
    record = score(played((0.3, 2.0)), bot_spans=[(101.65, 103.0)], closed=[closed()])
    assert record.voice_to_voice_ms == pytest.approx(-350)
    assert record.cut_in


def test_nothing_audible_within_five_seconds_is_a_miss() -> None:
    silent = score(played((0.3, 1.0)), bot_spans=[], closed=[])
    late = score(
        played((0.3, 1.0)),
        bot_spans=[(106.5, 108.0)],
        closed=[closed(commit_s=106.0, left_s=106.5)],
    )
    assert silent.missed
    assert silent.voice_to_voice_ms is None
    assert silent.outcome == "dismissed"
    assert late.missed
    assert late.voice_to_voice_ms == pytest.approx(5500), "late, but never left out"


def test_only_the_turns_own_facts_count() -> None:
    other = closed(speech_start_s=119.9, transcript="something else")
    record = score(played((0.3, 1.0)), bot_spans=[(101.65, 103.0)], closed=[closed(), other])
    assert record.transcript == "what time is it"


def test_a_turn_answered_in_two_parts_keeps_both_transcripts_and_the_last_reply() -> None:
    first = closed(transcript="what time")
    second = closed(
        turn=2,
        transcript="is it",
        speech_start_s=104.0,
        speech_end_s=105.0,
        commit_s=105.2,
        left_s=105.3,
    )
    record = score(
        played((0.3, 1.0), (4.0, 5.0)),
        bot_spans=[(101.65, 103.0), (105.3, 106.0)],
        closed=[first, second],
    )
    assert record.transcript == "what time is it"
    assert record.voice_to_voice_ms == pytest.approx(300)
    assert record.cut_in


def test_an_answer_to_what_was_said_before_the_pause_is_none_to_the_whole_turn() -> None:
    first = closed(transcript="what time")
    rest = closed(turn=2, outcome=Outcome.DISMISSED, speech_start_s=104.0, left_s=None)
    record = score(
        played((0.3, 1.0), (4.0, 5.0)), bot_spans=[(101.65, 103.0)], closed=[first, rest]
    )
    assert record.voice_to_voice_ms is None
    assert record.missed
    assert record.cut_in
    assert record.outcome == "dismissed"
    assert record.drafts.used == 0


def test_a_silent_answer_does_not_borrow_the_next_turns_sound() -> None:
    record = score(played((0.3, 1.0), until_s=110.0), bot_spans=[(112.0, 113.0)], closed=[closed()])
    assert record.voice_to_voice_ms is None


def test_scoring_changes_nothing_of_what_it_is_given() -> None:
    item = closed()
    before = item.timeline.copy()
    score(played((0.3, 1.0)), bot_spans=[(101.65, 103.0)], closed=[item])
    assert item.timeline == before


def test_work_behind_a_longer_wait_is_hidden_in_the_waterfall() -> None:
    record = score(played((0.3, 1.0)), bot_spans=[(101.6, 103.0)], closed=[closed()])
    hidden = {span.stage: span.hidden for span in record.spans if span.stage != "endpoint"}
    assert hidden == {"asr": True, "llm": True, "tts": True, "output": False}


def test_spans_are_found_in_what_was_played() -> None:
    rate_hz = 16_000
    samples = np.zeros(rate_hz, dtype=np.float32)
    samples[1600:3200] = 0.5
    (span,) = heard_spans([Playback(10.0, samples)], rate_hz)
    assert span == pytest.approx((10.1, 10.2))


def test_a_yield_is_read_from_the_label_and_the_waveform() -> None:
    over = score(
        played((0.3, 1.0)),
        bot_spans=[(98.0, 100.1), (100.2, 100.46)],
        closed=[closed()],
        bot_stretches=[(98.0, 100.46), (101.65, 103.0)],
    )
    assert over.yield_ms == pytest.approx(160)
    before = score(
        played((0.3, 1.0)), bot_spans=[(98.0, 100.2)], closed=[], bot_stretches=[(98.0, 100.2)]
    )
    assert before.yield_ms is None, "the bot was silent already"


def test_an_acknowledged_turn_is_no_answered_one() -> None:
    record = score(
        played((0.3, 0.6)),
        bot_spans=[(98.0, 100.4), (100.8, 103.0)],
        closed=[closed(outcome=Outcome.ACKNOWLEDGED, left_s=None, transcript="okay")],
    )
    assert record.outcome == "acknowledged"
    assert record.transcript == "okay"
    assert record.voice_to_voice_ms is None
    assert record.drafts.used == 0
    assert not record.missed


def test_a_stretch_spans_pauses_and_ends_where_the_sink_was_cleared() -> None:
    rate_hz = 16_000
    samples = np.zeros(rate_hz, dtype=np.float32)
    samples[1600:3200] = samples[8000:9600] = 0.5
    stretches = heard_stretches(
        [Playback(10.0, samples), Playback(12.0, samples[:800]), Playback(13.0, samples)], rate_hz
    )
    assert stretches == [pytest.approx((10.1, 10.6)), pytest.approx((13.1, 13.6))]
