from __future__ import annotations

import pytest

from voicebot.bench.report.wording import (
    as_count,
    as_interval,
    as_ms,
    as_number,
    as_percent,
    flatten,
)

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
NONE = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(-12.6, f"{MINUS}13"), (-0.2, "0"), (1234.4, f"1{THIN}234"), (0, "0"), (None, NONE)],
)
def test_numbers(value: float | None, text: str) -> None:
    assert as_number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.5, f"50{THIN}%"), (0.064, f"6.4{THIN}%"), (0.9996, f"100{THIN}%"), (None, NONE)],
)
def test_shares(share: float | None, text: str) -> None:
    assert as_percent(share) == text


def test_latencies_and_intervals() -> None:
    assert as_ms(211.6) == f"212{THIN}ms"
    assert as_ms(None) == NONE
    assert as_interval((-5.2, 30.4)) == f"95{THIN}% interval {MINUS}5 to 30"
    assert as_interval(None) == "no interval from so few"


def test_one_is_singular() -> None:
    assert (as_count(1, "turn", "turns"), as_count(0, "turn", "turns")) == ("1 turn", "0 turns")


def test_settings_get_dotted_names() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [2]}) == [("a.b", 1), ("a.c", {}), ("d", [2])]
