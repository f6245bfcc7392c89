"""Variants side by side, from made-up turns."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from factories import a_turn
from rich.console import Console

from voicebot.bench.comparison import Comparison, compare, write_comparison
from voicebot.bench.comparison_table import comparison_table

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.record import TurnRecord


def turns(shift_ms: float, *, cut: int = 0, count: int = 24) -> list[TurnRecord]:
    return [
        a_turn(
            300.0 + 10 * index + shift_ms,
            caller=f"{index}.flac",
            speaker=f"s{index % 8}",
            kind="pause" if index % 2 else "question",
            speech=((0.1, 0.8), (1.2, 1.69)),
            bot_audio=((0.9, 1.1),) if index < cut else (),
            cut_in=index < cut,
            cpu_s=1.0 + shift_ms / 100,
        )
        for index in range(count)
    ]


def compared(**changes: object) -> Comparison:
    by_name = {"plain": turns(0), "late": list(reversed(turns(50, cut=6)))}
    return compare(by_name, {"plain": (), "late": ("a.b=1",)}, **changes)  # type: ignore[arg-type]


def test_each_variant_is_held_against_the_first_turn_by_turn() -> None:
    plain, late = compared().variants
    assert plain.difference is None
    assert late.difference is not None
    assert late.difference.turns == 24
    assert late.difference.mean_ms.value == pytest.approx(50)
    assert late.difference.mean_ms.ci95 == pytest.approx((50, 50)), "each turn is 50 ms later"
    assert late.difference.pause_cut_in_rate.value == pytest.approx(0.25)
    assert late.difference.cpu_seconds_per_turn.value == pytest.approx(0.5)
    assert late.difference.cut_ins == 6
    assert plain.figures.pause_cut_in_rate.value == 0
    assert late.figures.pauses_cut_into == 6
    assert late.figures.cpu_seconds_per_turn.value == pytest.approx(1.5)


def test_only_turns_that_both_have_are_paired() -> None:
    by_name = {"plain": turns(0), "late": turns(50)[:5]}
    late = compare(by_name, {"plain": (), "late": ()}).variants[1]
    assert late.difference is not None
    assert late.difference.turns == 5
    assert late.difference.mean_ms.value == pytest.approx(50)


def test_a_turn_without_a_latency_is_counted_as_a_miss_and_left_out_of_the_pairs() -> None:
    lost = [replace(turn, voice_to_voice_ms=None, missed=True) for turn in turns(0)[:3]]
    by_name = {"plain": turns(0), "deaf": [*lost, *turns(0)[3:]]}
    deaf = compare(by_name, {"plain": (), "deaf": ()}).variants[1]
    assert deaf.figures.missed == 3
    assert deaf.difference is not None
    assert (deaf.difference.missed, deaf.difference.turns) == (3, 21)


def test_latencies_may_be_of_some_kinds_only() -> None:
    plain, _ = compared(latency_kinds=["question"]).variants
    assert plain.figures.voice_to_voice_ms.count == 12
    assert plain.figures.turns == plain.figures.pauses == 24


def test_a_variant_that_has_not_played_yet_breaks_nothing(tmp_path: Path) -> None:
    comparison = compare({"plain": [], "late": []}, {"plain": (), "late": ()})
    write_comparison(comparison, tmp_path / "comparison.json")
    console = Console(width=100, record=True, file=(tmp_path / "shown").open("w"))
    console.print(comparison_table(comparison))
    console.file.close()
    assert "0/0" in console.export_text()


def test_the_file_and_the_table_hold_all_variants(tmp_path: Path) -> None:
    comparison = compared()
    write_comparison(comparison, tmp_path / "comparison.json")
    data = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert data["schema"] == "voicebot.comparison/1"
    assert [each["name"] for each in data["variants"]] == ["plain", "late"]
    with (tmp_path / "shown").open("w") as file:
        console = Console(width=160, record=True, file=file)
        console.print(comparison_table(comparison))
    text = console.export_text()
    assert "6/24" in text
    assert "+50" in text
    assert "50 to 50" in text


def test_the_table_fits_80_columns(tmp_path: Path) -> None:
    with (tmp_path / "shown").open("w") as file:
        console = Console(width=80, record=True, file=file)
        console.print(comparison_table(compared()))
    text = console.export_text()
    assert "…" not in text
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    assert text.count("CPU s") == 2
