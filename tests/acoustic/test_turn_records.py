from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from voicebot.acoustic.turn_records import OwnTurn, TurnRecords, nearest_turn, parse_turn

if TYPE_CHECKING:
    from pathlib import Path

LINE = {
    "outcome": "answered",
    "latency_ms": 250.0,
    "speech_end_at": "1970-01-01T00:00:10.000000+00:00",
    "first_sample_at": "1970-01-01T00:00:10.250000+00:00",
}


def as_line(**changes: object) -> bytes:
    return json.dumps({**LINE, **changes}).encode()


def test_a_turn_of_the_log() -> None:
    assert parse_turn(as_line()) == OwnTurn(250.0, 10.0, 10.25)
    assert parse_turn(as_line(first_sample_at=None)) == OwnTurn(250.0, 10.0, None)
    assert parse_turn(as_line(speech_end_at="yesterday")) == OwnTurn(250.0, None, 10.25)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        as_line(outcome="merged"),
        as_line(latency_ms=None),
        as_line(latency_ms=True),
        as_line(latency_ms=float("nan")),
    ],
)
def test_what_is_no_answered_turn_is_passed_over(line: bytes) -> None:
    assert parse_turn(line) is None


def test_lines_are_read_once_and_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "turns.jsonl"
    records = TurnRecords(path)
    assert records.take_new() == []
    path.write_bytes(as_line() + b"\n" + as_line()[:10])
    assert len(records.take_new()) == 1
    with path.open("ab") as file:
        file.write(as_line()[10:] + b"\n")
    assert len(records.take_new()) == 1
    assert records.take_new() == []


def test_the_turn_nearest_to_what_was_heard() -> None:
    early, late = OwnTurn(1.0, None, 10.0), OwnTurn(2.0, None, 20.0)
    assert nearest_turn([early, late], 10.2) is early
    assert nearest_turn([early, late], 19.5) is late
    assert nearest_turn([early, late], 15.0) is None
    assert nearest_turn([], 15.0) is None
    untimed = OwnTurn(3.0, None, None)
    assert nearest_turn([untimed], 15.0) is untimed
