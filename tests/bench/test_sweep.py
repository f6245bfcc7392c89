"""Planning a sweep and reading it, from made-up turns."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from factories import a_meta, a_run, a_turn
from rich.console import Console

from voicebot.bench.comparison import compare
from voicebot.bench.record import MachineState
from voicebot.bench.report.sweep_chart import mean_chart
from voicebot.bench.report.sweep_page import render_sweep
from voicebot.bench.sweep import POINTS, Sweep, parse_points, plan_sweep, swept, write_sweep
from voicebot.bench.sweep_table import sweep_table
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.record import TurnRecord

DEFAULT = ("fused", 0.5)


def turns(latency_ms: float, cut: int, missed: int = 0) -> list[TurnRecord]:
    made = [
        a_turn(
            latency_ms + 5 * index,
            caller=f"{index}.flac",
            speaker=f"s{index % 10}",
            speech=((0.1, 0.8), (1.2, 1.69)),
            bot_audio=((0.9, 1.1),) if index < cut else (),
        )
        for index in range(40)
    ]
    return [*(replace(turn, missed=True) for turn in made[:missed]), *made[missed:]]


def a_sweep(**played: list[TurnRecord]) -> Sweep:
    """The default at 300 ms with 4 cut-ins, and what is given as ``rule_percent``."""
    by_point = {DEFAULT: turns(300, 4)}
    for name, measured in played.items():
        rule, _, percent = name.rpartition("_")
        by_point[rule.replace("_", "-"), int(percent) / 100] = measured
    points: dict[str, list[float]] = {}
    for rule, value in by_point:
        points.setdefault(rule, []).append(value)
    planned = plan_sweep(points, DEFAULT)
    by_name = {plan.variant.name: by_point[plan.rule, plan.eagerness] for plan in planned}
    assignments = {plan.variant.name: plan.variant.assignments for plan in planned}
    return swept(planned, compare(by_name, assignments))


def test_the_default_is_played_first_and_only_once() -> None:
    planned = plan_sweep(POINTS, DEFAULT)
    assert (planned[0].rule, planned[0].eagerness) == DEFAULT
    assert planned[0].variant.assignments == ("turns.rule=fused", "turns.eagerness=0.5")
    assert len({plan.variant.name for plan in planned}) == len(planned) == 17
    assert len(plan_sweep(POINTS, ("fused", 0.42))) == 18


def test_points_are_read() -> None:
    points = parse_points(["fused=1,0.25", "silence="])
    assert points["fused"] == (0.25, 1.0)
    assert points["silence"] == ()
    assert points["smart-turn"] == POINTS["smart-turn"]


@pytest.mark.parametrize("text", ["fused", "=0.5", "fused=2", "fused=fast", "fused=nan"])
def test_points_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_points([text])


def test_faster_with_more_cut_ins_is_no_better() -> None:
    sweep = a_sweep(fused_0=turns(500, 1), fused_100=turns(150, 9), silence_50=turns(800, 4))
    assert sweep.dominating == ()
    assert sweep.verdict.startswith("No measured point")
    assert [point.eagerness for point in sweep.points if point.rule == "fused"] == [0, 0.5, 1]
    assert sweep.rules == ("fused", "silence")


def test_faster_with_no_more_cut_ins_is_better_and_surely_so() -> None:
    sweep = a_sweep(silence_50=turns(200, 4))
    (better,) = sweep.dominating
    assert (better.rule, better.is_surely_better) == ("silence", True)
    assert "silence at 0.5 dominates" in sweep.verdict
    assert "Beyond what chance explains: silence at 0.5" in sweep.verdict


def test_an_advantage_that_one_speaker_makes_is_not_sure() -> None:
    lucky = [
        replace(turn, voice_to_voice_ms=turn.voice_to_voice_ms - 30)
        if turn.speaker == "s3" and turn.voice_to_voice_ms is not None
        else turn
        for turn in turns(300, 4)
    ]
    worse_for_another = [
        replace(turn, voice_to_voice_ms=turn.voice_to_voice_ms + 20)
        if turn.speaker == "s0" and turn.voice_to_voice_ms is not None
        else turn
        for turn in lucky
    ]
    (point,) = a_sweep(fused_65=worse_for_another).dominating
    assert not point.is_surely_better
    assert "No difference is beyond" in a_sweep(fused_65=worse_for_another).verdict


def test_a_point_that_misses_more_does_not_dominate() -> None:
    assert a_sweep(fused_65=turns(200, 4, missed=2)).dominating == ()


def test_the_file_the_page_and_the_table_hold_every_point(tmp_path: Path) -> None:
    sweep = a_sweep(fused_0=turns(500, 0), silence_25=turns(900, 2), smart_turn_75=turns(700, 6))
    write_sweep(sweep, tmp_path / "sweep.json")
    data = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert data["schema"] == "voicebot.sweep/1"
    assert data["verdict"] == sweep.verdict
    assert len(data["points"]) == 4
    page = render_sweep(sweep, a_run())
    assert page.count("<circle") == 8, "each point on both charts"
    assert page.count('is-default"') == 3, "twice as a mark, once as a row"
    assert "<script" not in page
    assert "ended early" not in page
    assert "ended early" in render_sweep(sweep, a_run(partial=True))
    with (tmp_path / "shown").open("w") as file:
        console = Console(width=100, record=True, file=file)
        console.print(sweep_table(sweep))
    text = console.export_text()
    assert "default" in text
    assert text.count("silence") == 1


def test_a_sweep_that_was_stopped_at_once_says_so(tmp_path: Path) -> None:
    planned = plan_sweep({"silence": [0.5]}, DEFAULT)
    names = [plan.variant.name for plan in planned]
    sweep = swept(planned, compare({name: [] for name in names}, dict.fromkeys(names, ())))
    assert "not played" in sweep.verdict
    assert "not played" in render_sweep(sweep, a_run(partial=True))
    write_sweep(sweep, tmp_path / "sweep.json")


def test_points_that_nobody_answered_can_be_shown(tmp_path: Path) -> None:
    silent = [replace(turn, voice_to_voice_ms=None, missed=True) for turn in turns(1, 0)]
    sweep = a_sweep(silence_0=silent)
    assert "silence" in render_sweep(sweep, a_run())
    write_sweep(sweep, tmp_path / "sweep.json")


def test_what_stands_against_the_run_stands_on_the_page() -> None:
    machine = MachineState(2.0, 0.35, 0.0, 0, 0.001)
    first = a_run(meta=replace(a_meta(), machine=machine))
    assert "Other programs took 35 % of the machine" in render_sweep(a_sweep(), first)


def test_the_lines_of_intervals_end_within_the_chart() -> None:
    wild = [replace(turn, speaker=f"s{n % 2}") for n, turn in enumerate(turns(200, 4))]
    wild[0] = replace(wild[0], voice_to_voice_ms=40_000.0)
    chart = str(mean_chart(a_sweep(silence_50=wild)))
    lines = re.findall(
        r'<line x1="([-.\d]+)%" x2="([-.\d]+)%" y1="([-.\d]+)" y2="([-.\d]+)"', chart
    )
    assert lines
    for x1, x2, y1, y2 in lines:
        assert all(0.0 <= float(x) <= 100.0 for x in (x1, x2))
        assert all(20.0 <= float(y) <= 332.0 for y in (y1, y2))
