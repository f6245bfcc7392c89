from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from factories import a_realistic_run, a_run, a_turn
from rich.console import Console

from voicebot.bench.table import summary_table

if TYPE_CHECKING:
    from voicebot.bench.record import Run


def printed(run: Run) -> str:
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(summary_table(run))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "run",
    [a_run([]), a_run([a_turn(None)]), a_run([a_turn(-20.0, cut_in=True)]), a_realistic_run(40)],
    ids=["empty", "all missed", "negative", "realistic"],
)
def test_it_fits_80_columns(run: Run) -> None:
    text = printed(run)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text


def test_figures_kinds_and_parts_are_shown() -> None:
    text = printed(a_run([a_turn(200.0), a_turn(400.0, kind="order")]))
    assert "p50 300 ms" in text
    assert "Target of 300 ms reached by the median; 50.0 % of all turns" in text
    for word in ("question", "order", "all", "endpoint", "unattributed", "word error rate"):
        assert word in text


def test_yields_are_shown_by_kind_where_somebody_spoke_over_the_bot() -> None:
    text = printed(a_run([a_turn(yield_ms=110.0), a_turn(yield_ms=130.0), a_turn(kind="order")]))
    assert "Yields to question: p50 120 ms, p95 129 ms, of 2" in text
    assert "Yields to order" not in text


def test_a_slow_run_missed_its_target() -> None:
    assert "Target of 300 ms missed" in printed(a_run([a_turn(500.0)]))


def test_misses_and_cut_ins_are_named_and_the_rest_counted() -> None:
    misses = [a_turn(None, caller=f"clips/{index}.flac") for index in range(11)]
    text = printed(a_run([*misses, a_turn(-5.0, cut_in=True, caller="clips/early.flac")]))
    assert "Missed: clips/0.flac" in text
    assert "Missed: 3 more, in the report" in text
    assert "Cut into: clips/early.flac" in text


def test_warnings_stand_out_without_colour() -> None:
    text = printed(a_run([a_turn()], partial=True))
    assert "! The run was ended early, after 1 turn." in text
    assert "! Only 1 turn has a latency" in text


def test_brackets_in_names_are_not_markup() -> None:
    assert "[bold]odd[/bold].flac" in printed(a_run([a_turn(None, caller="[bold]odd[/bold].flac")]))
