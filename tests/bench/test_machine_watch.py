from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from factories import a_meta, a_run, a_turn

from voicebot.bench.machine_watch import CpuTimes, MachineWatch, read_cpu_times
from voicebot.bench.record import MachineState
from voicebot.bench.summary import caveats

if TYPE_CHECKING:
    from pathlib import Path


def watched(before: CpuTimes, after: CpuTimes, own_s: tuple[float, float]) -> MachineState:
    times, own = iter([before, after]), iter(own_s)
    return MachineWatch(lambda: next(own), read=lambda: next(times), load=lambda: 0.5).state()


def test_what_others_took_is_what_was_busy_and_not_our_own() -> None:
    state = watched(CpuTimes(100.0, 40.0, 1.0, 2), CpuTimes(200.0, 90.0, 6.0, 5), (10.0, 40.0))
    assert state.others_share == pytest.approx((50.0 - 30.0) / 100.0)
    assert state.stolen_share == pytest.approx(0.05)
    assert state.throttles == 3
    assert state.load_before == 0.5


def test_rounding_of_the_counters_gives_no_share_below_nothing() -> None:
    state = watched(CpuTimes(100.0, 40.0, 0.0, 0), CpuTimes(101.0, 40.5, 0.0, 0), (0.0, 0.9))
    assert state.others_share == 0.0
    same = CpuTimes(100.0, 40.0, 0.0, 0)
    assert watched(same, same, (0.0, 0.0)).others_share == 0.0


def test_the_real_counters_only_grow(tmp_path: Path) -> None:
    one, two = read_cpu_times(), read_cpu_times()
    assert two.total_s >= one.total_s > one.busy_s > 0
    for core, count in (("cpu0", "3\n"), ("cpu1", "4\n"), ("cpu2", "no number\n")):
        folder = tmp_path / core / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(count)
    assert read_cpu_times(tmp_path).throttles == 7


QUIET = MachineState(0.1, 0.01, 0.0, 0, 0.001)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"others_share": 0.4}, "Other programs took 40 %"),
        ({"stolen_share": 0.031}, "took 3.1 % of the processor"),
        ({"throttles": 4}, "slowed down 4 times"),
        ({"timer_resolution_us": 15_600.0}, "no less than 16 ms"),
    ],
)
def test_an_unstable_machine_is_said(changes: dict[str, float], said: str | None) -> None:
    meta = replace(a_meta(), machine=replace(QUIET, **changes))
    turns = [a_turn(200.0, speaker=f"s{index % 12}") for index in range(40)]
    found = caveats(a_run(turns, meta=meta))
    assert (len(found) == 0) if said is None else any(said in each for each in found)
