"""Intervals of rates and of paired differences."""

from __future__ import annotations

import random
from statistics import NormalDist

import pytest

from voicebot.bench.paired_statistics import (
    Counts,
    expanded_tail,
    paired_intervals,
    ratio_difference_interval,
    ratio_interval,
)


def latencies(seed: int, count: int = 120) -> tuple[list[float], list[str]]:
    chance = random.Random(seed)  # noqa: S311 - made-up data keeps no secret
    slow = {f"s{index}": chance.uniform(0, 400) for index in range(20)}
    speakers = [f"s{index % 20}" for index in range(count)]
    return [200 + slow[name] + chance.gauss(0, 20) for name in speakers], speakers


def test_pairing_takes_the_speakers_out_of_a_difference() -> None:
    first, speakers = latencies(1)
    chance = random.Random(3)  # noqa: S311 - made-up data keeps no secret
    second = [value + 30 + chance.gauss(0, 5) for value in first]
    intervals = paired_intervals(first, second, speakers)
    assert intervals.mean is not None
    low, high = intervals.mean
    assert 25 < low < 30 < high < 35, "although speakers are up to 400 ms apart"
    assert intervals.p50 is not None
    assert intervals.p95 is not None
    assert intervals.p50[0] < 30 < intervals.p50[1]


def test_no_difference_has_an_interval_around_nothing() -> None:
    first, speakers = latencies(1)
    intervals = paired_intervals(first, first, speakers)
    assert intervals.mean == (0.0, 0.0)


def test_the_order_of_the_turns_does_not_matter() -> None:
    first, speakers = latencies(1)
    second, _ = latencies(2)
    order = sorted(range(len(first)), key=lambda index: (index % 7, -index))
    assert paired_intervals(
        [first[index] for index in order],
        [second[index] for index in order],
        [speakers[index] for index in order],
    ).p95 == pytest.approx(paired_intervals(first, second, speakers).p95)


def test_one_speaker_gives_no_interval() -> None:
    assert paired_intervals([1.0, 2.0], [2.0, 3.0], ["a", "a"]).mean is None
    assert ratio_interval(Counts((1,), (2,)), ["a"], is_share=True) is None


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="clusters"):
        paired_intervals([1.0], [1.0, 2.0], ["a", "b"])


def test_a_share_of_nothing_has_an_upper_end_all_the_same() -> None:
    clusters = [f"s{index}" for index in range(100)]
    none = Counts((0,) * 100, (1,) * 100)
    assert none.ratio == 0
    interval = ratio_interval(none, clusters, is_share=True)
    assert interval == pytest.approx((0.0, 0.0362), abs=1e-4), "Clopper and Pearson, 0 of 100"
    all_ = ratio_interval(Counts((1,) * 100, (1,) * 100), clusters, is_share=True)
    assert all_ == pytest.approx((0.9638, 1.0), abs=1e-4)


def test_speakers_who_resemble_each_other_widen_the_interval_of_a_rate() -> None:
    parts = (1,) * 10 + (0,) * 90
    counts = Counts(parts, (1,) * 100)
    alone = ratio_interval(counts, [f"s{index}" for index in range(100)], is_share=True)
    grouped = ratio_interval(counts, [f"s{index // 10}" for index in range(100)], is_share=True)
    assert alone is not None
    assert grouped is not None
    assert alone[0] <= 0.1 <= alone[1]
    assert grouped[1] - grouped[0] > 1.5 * (alone[1] - alone[0])


def test_turns_without_pauses_weigh_nothing() -> None:
    clusters = ["a", "b", "c", "d"]
    few = ratio_interval(Counts((1, 0, 1, 0), (1, 0, 2, 1)), clusters, is_share=True)
    assert few is not None
    assert 0 <= few[0] <= 0.5 <= few[1] <= 1
    assert ratio_interval(Counts((0, 0), (0, 0)), ["a", "b"], is_share=True) is None


def test_a_difference_of_rates_is_paired() -> None:
    clusters = [f"s{index % 25}" for index in range(200)]
    first = Counts(tuple(int(index % 25 < 5) for index in range(200)), (1,) * 200)
    second = Counts(tuple(int(index % 25 < 10) for index in range(200)), (1,) * 200)
    same = ratio_difference_interval(first, first, clusters)
    more = ratio_difference_interval(first, second, clusters)
    assert same == (0.0, 0.0)
    assert more is not None
    assert 0 < more[0] < 0.2 < more[1]


@pytest.mark.parametrize(
    ("clusters", "quantile"),
    [(10, 3.2498), (20, 2.8609), (60, 2.6618)],  # Student's, 0.5 % above, of a table
)
def test_a_tail_is_cut_further_out_for_few_clusters(clusters: int, quantile: float) -> None:
    widened = quantile * (clusters / (clusters - 1)) ** 0.5
    assert -NormalDist().inv_cdf(expanded_tail(0.005, clusters)) == pytest.approx(widened, rel=2e-3)
