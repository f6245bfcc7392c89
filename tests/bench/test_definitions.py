"""Turns timed as others time them: by hand-made turns whose figures can be added up on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import a_turn

from voicebot.bench.definitions import DEFINITIONS, Scored, score_by_definitions
from voicebot.bench.record import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.record import TurnRecord

# Of a reply that waited for the commit: marks in ms after the true end.
MARKS = {
    "speech_end": 40.0,
    "soft_end": 110.0,
    "first_token": 170.0,
    "commit": 300.0,
    "written": 301.0,
    "left_sink": 321.0,
    "audible": 330.0,
}
SPANS = (
    Span("asr", 110.0, 125.0, hidden=True),
    Span("llm", 126.0, 220.0, hidden=True),
    Span("tts", 221.0, 225.0, hidden=True),
)


def scored_of(turns: Sequence[TurnRecord]) -> dict[str, Scored]:
    return {each.definition.name: each for each in score_by_definitions(turns)}


@pytest.mark.parametrize(
    ("name", "expected_ms"),
    [
        ("voice-to-voice", 330.0),
        ("from-vad-stop", 220.0),
        ("from-vad-estimate", 290.0),
        ("from-turn-decision", 30.0),
        ("from-transcript", 205.0),
        ("first-byte", 301.0),
        ("sum-of-parts", (300.0 - 40.0) + (170.0 - 126.0) + 4.0),
        ("clipped-at-zero", 330.0),
        ("cut-ins-dropped", 330.0),
        ("slow-turns-dropped", 330.0),
    ],
)
def test_each_definition_starts_and_stops_its_own_clock(name: str, expected_ms: float) -> None:
    scored = scored_of([a_turn(330.0, marks=MARKS, spans=SPANS)])[name]
    assert scored.p50_ms == pytest.approx(expected_ms)
    assert scored.clock_bias_ms == pytest.approx(expected_ms - 330.0)
    assert (scored.count, scored.left_out) == (1, 0)


def test_all_definitions_are_tried_above_and_have_a_source() -> None:
    assert len({definition.name for definition in DEFINITIONS}) == 10
    assert all(definition.source for definition in DEFINITIONS)


def test_what_is_left_out_is_counted() -> None:
    turns = [a_turn(200.0), a_turn(1500.0), a_turn(-50.0, cut_in=True), a_turn(None)]
    scored = scored_of(turns)
    assert (scored["voice-to-voice"].count, scored["voice-to-voice"].left_out) == (3, 0)
    assert scored["slow-turns-dropped"].left_out == 1
    assert scored["cut-ins-dropped"].left_out == 1
    assert scored["clipped-at-zero"].mean_ms == pytest.approx((200 + 1500 + 0) / 3)
    assert scored["voice-to-voice"].mean_ms == pytest.approx((200 + 1500 - 50) / 3)


def test_a_turn_without_the_marks_has_no_figure() -> None:
    scored = scored_of([a_turn(330.0, marks={}, spans=())])
    for name in ("from-vad-stop", "from-transcript", "first-byte", "sum-of-parts"):
        assert scored[name].count == 0
        assert scored[name].p50_ms is None
        assert scored[name].clock_bias_ms is None


def test_no_turns_give_no_figures() -> None:
    assert all(each.count == 0 and each.mean_ms is None for each in score_by_definitions([]))


def test_turns_that_are_left_out_show_in_the_bias_of_the_figure() -> None:
    turns = [a_turn(200.0), a_turn(300.0), a_turn(4000.0)]
    scored = {each.definition.name: each for each in score_by_definitions(turns)}
    dropped = scored["slow-turns-dropped"]
    assert dropped.clock_bias_ms == 0.0
    assert dropped.mean_bias_ms == pytest.approx(250.0 - 1500.0)
    assert dropped.p50_bias_ms == pytest.approx(-50.0)
    ours = scored["voice-to-voice"]
    assert (ours.mean_bias_ms, ours.p50_bias_ms) == (0.0, 0.0)
