from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from factories import a_breakdown, a_realistic_run, a_run, a_turn, words
from hypothesis import given
from hypothesis import strategies as st

from voicebot.bench.markdown_report import markdown_of
from voicebot.bench.record import Drafts, TurnRecord
from voicebot.bench.report import render_report
from voicebot.bench.summary import (
    caveats,
    mean_breakdown,
    pauses_cut_into,
    share_within,
    summarise,
    went_on,
)
from voicebot.text.normalise import normalise_words

PAUSED = ((0.0, 1.0), (1.6, 2.5))


def a_paused_turn(*onsets_s: float, **changes: object) -> TurnRecord:
    bot_audio = tuple((onset, onset + 0.3) for onset in onsets_s)
    return a_turn(speech=PAUSED, true_end_s=2.5, kind="pause", bot_audio=bot_audio, **changes)


def test_no_turns_have_counts_but_no_figures() -> None:
    summary = summarise([], normalise=words)
    assert (summary.turns, summary.answered, summary.missed, summary.cut_ins) == (0, 0, 0, 0)
    assert summary.cut_in_rate is summary.word_error_rate is summary.draft_hit_rate is None
    assert summary.breakdown_ms["llm"].p50 is None
    assert summary.by_kind == {}


def test_misses_are_counted_and_have_no_latency() -> None:
    summary = summarise([a_turn(200.0), a_turn(None)], normalise=words)
    assert (summary.answered, summary.missed) == (1, 1)
    assert summary.voice_to_voice_ms.count == 1


def test_a_late_reply_is_a_miss_that_stays_in_the_figures() -> None:
    summary = summarise([a_turn(200.0), a_turn(6_000.0, missed=True)], normalise=words)
    assert (summary.answered, summary.missed) == (1, 1)
    assert summary.voice_to_voice_ms.max == 6_000.0


def test_a_negative_latency_is_not_clipped() -> None:
    summary = summarise([a_turn(-80.0, cut_in=True), a_turn(100.0)], normalise=words)
    assert summary.voice_to_voice_ms.min == -80.0
    assert summary.voice_to_voice_ms.mean == 10.0
    assert summary.cut_in_rate == 0.5


def test_warmup_turns_are_left_out() -> None:
    summary = summarise([a_turn(900.0, warmup=True), a_turn(200.0)], normalise=words)
    assert summary.turns == 1
    assert summary.voice_to_voice_ms.max == 200.0


@pytest.mark.parametrize(
    ("onsets_s", "cut"),
    [
        ((), 0),
        ((2.7,), 0),
        ((1.2,), 1),
        ((1.8,), 1),
        ((1.2, 1.4), 1),
        ((0.5,), 0),
    ],
    ids=["silent", "after", "in the gap", "as speech resumes", "twice", "before the gap"],
)
def test_a_pause_is_cut_into_by_what_begins_after_it(onsets_s: tuple[float, ...], cut: int) -> None:
    assert pauses_cut_into(a_paused_turn(*onsets_s)) == (1, cut)


def test_pauses_have_a_rate_of_their_own() -> None:
    turns = [a_paused_turn(1.2, cut_in=True), a_paused_turn(2.7), a_turn()]
    summary = summarise(turns, normalise=words)
    assert (summary.pauses, summary.pauses_cut_into, summary.pause_cut_in_rate) == (2, 1, 0.5)
    assert summary.by_kind["question"].pause_cut_in_rate is None


def test_word_error_rate_is_over_rows_with_a_text() -> None:
    turns = [
        a_turn(text="How old is it?", transcript="how old is it"),
        a_turn(text="yes please", transcript="yes"),
        a_turn(text=None, transcript="anything at all"),
    ]
    assert summarise(turns, normalise=words).word_error_rate == pytest.approx(1 / 6)


def test_word_error_rate_uses_the_projects_normaliser_by_default() -> None:
    turn = a_turn(text="It's 3 o'clock.", transcript="it's three o'clock")
    assert summarise([turn]).word_error_rate == 0.0


def test_word_error_rate_is_of_the_language() -> None:
    turn = a_turn(text="Um 21 Uhr fährt der Zug.", transcript="um einundzwanzig Uhr fährt der zug")
    german = partial(normalise_words, language="de")
    assert summarise([turn], normalise=german).word_error_rate == 0.0
    assert summarise([turn]).word_error_rate != 0.0


def test_drafts_are_rated_by_those_begun() -> None:
    turns = [
        a_turn(drafts=Drafts(started=3, used=1, discarded=2)),
        a_turn(drafts=Drafts(started=1, used=1)),
        a_turn(drafts=Drafts()),
    ]
    assert summarise(turns, normalise=words).draft_hit_rate == 0.5


def test_kinds_add_up_to_all() -> None:
    summary = a_realistic_run(60).summary
    for name in ("turns", "answered", "missed", "cut_ins", "pauses", "pauses_cut_into"):
        parts = [getattr(group, name) for group in summary.by_kind.values()]
        assert sum(parts) == getattr(summary, name)


@given(st.lists(st.floats(min_value=-500, max_value=5_000), min_size=1, max_size=20))
def test_mean_parts_sum_to_the_mean_latency(latencies: list[float]) -> None:
    mean = mean_breakdown([a_turn(each) for each in latencies])
    assert mean is not None
    assert mean.total_ms == pytest.approx(sum(latencies) / len(latencies), abs=1e-6)


def test_misses_lower_the_share_within_the_target() -> None:
    assert share_within([a_turn(300.0), a_turn(301.0), a_turn(None), a_turn(-9.0)], 300.0) == 0.5
    assert share_within([], 300.0) is None


def test_a_clean_run_has_no_caveats() -> None:
    turns = [a_turn(200.0 + index, speaker=f"speaker-{index}") for index in range(30)]
    assert caveats(a_run(turns)) == ()


def test_each_weakness_of_a_run_is_named() -> None:
    wrong = replace(a_turn(200.0), breakdown_ms=a_breakdown(150.0))
    run = a_run([wrong, a_turn(100.0, underruns=2), a_turn(None, failure="llm stuck")])
    run = replace(run, partial=True, warmup=0, meta=replace(run.meta, loop_stall_p95_ms=45.0))
    text = "\n".join(caveats(run))
    for sign in (
        "ended early, after 3 turns",
        "Only 2 turns have a latency",
        "No warm-up",
        "In 1 turn the breakdown does not sum",
        "2 gaps in the sound",
        "1 turn failed",
        "45 ms late",
    ):
        assert sign in text


def test_few_speakers_and_unexplained_time_are_named() -> None:
    run = a_run([a_turn(1_000.0) for _ in range(20)])
    text = "\n".join(caveats(run))
    assert "Only 1 speaker:" in text
    spread = [a_turn(4_000.0, speaker=f"speaker-{index}") for index in range(20)]
    assert "explained by no mark" in "\n".join(caveats(a_run(spread)))


def test_yields_are_of_the_turns_that_have_one() -> None:
    turns = [a_turn(yield_ms=each) for each in (100.0, 200.0, None)]
    summary = summarise(turns)
    assert summary.yield_ms.count == 2
    assert summary.yield_ms.p50 == pytest.approx(150)
    assert summarise([a_turn()]).yield_ms.p95 is None


def test_going_on_after_what_was_no_turn_is_told() -> None:
    resumed = a_turn(
        None,
        kind="noise in babble 15 dB",
        missed=False,
        outcome="dismissed",
        yield_ms=300.0,
        bot_audio=((-1.0, 0.4), (1.9, 4.0)),
    )
    dropped = replace(resumed, bot_audio=((-1.0, 0.4),))
    answered = replace(resumed, kind="acknowledgement", outcome="answered")
    came_too_late = replace(resumed, yield_ms=None)
    question = replace(resumed, kind="interruption")
    assert went_on([resumed, dropped, answered, came_too_late, question]) == (1, 3)


def test_yields_are_told_by_kind_in_page_and_markdown() -> None:
    cough = a_turn(
        None, kind="noise", missed=False, outcome="dismissed", yield_ms=900.0, bot_audio=((0, 9.0),)
    )
    run = a_run([a_turn(200.0, kind="interruption", yield_ms=321.0), cough])
    page, markdown = render_report(run), markdown_of(run)
    assert "It goes on after an acknowledgement or a noise: 1 of 1." in page
    assert "Goes on after an acknowledgement or a noise: 1 of 1." in markdown
    assert "| interruption | 1 | 321 | 321 |" in markdown
    assert "321" in page[page.index('id="yields"') :]
    assert "Spoken over" not in render_report(a_run([a_turn(200.0)]))
