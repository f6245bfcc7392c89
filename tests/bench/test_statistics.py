from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.bench.statistics import (
    Intervals,
    bootstrap_intervals,
    describe,
    percentile,
    word_errors,
)

latencies = st.floats(min_value=-2_000, max_value=6_000, allow_nan=False)
samples = st.lists(latencies, min_size=2, max_size=60)


def test_nothing_has_no_figures() -> None:
    described = describe([])
    assert described.count == 0
    assert described.mean is described.p50 is described.p95 is described.max is None
    assert described.p50_ci95 is described.p95_ci95 is described.mean_ci95 is None


def test_one_sample_is_every_figure_and_has_no_interval() -> None:
    described = describe([212.5])
    assert (described.mean, described.p50, described.p95, described.max) == (212.5,) * 4
    assert described.p50_ci95 is described.p95_ci95 is described.mean_ci95 is None


def test_two_samples_have_an_interval_from_one_to_the_other() -> None:
    described = describe([100.0, 300.0])
    assert described.p50 == 200.0
    assert described.p50_ci95 == (100.0, 300.0)


def test_percentiles_interpolate_between_neighbours() -> None:
    assert percentile([0, 10, 20, 30], 50) == 15.0
    assert percentile([0, 10, 20, 30], 95) == pytest.approx(28.5)


def test_one_cluster_gives_no_interval_however_many_samples_it_has() -> None:
    assert bootstrap_intervals([1.0, 2.0, 3.0], ["a", "a", "a"]).mean is None


def test_labels_must_match_the_values() -> None:
    with pytest.raises(ValueError, match="3 values, but 2 cluster labels"):
        bootstrap_intervals([1.0, 2.0, 3.0], ["a", "b"])


@settings(max_examples=50, deadline=None)
@given(samples)
def test_intervals_lie_within_the_samples_and_are_in_order(values: list[float]) -> None:
    intervals = bootstrap_intervals(values, resamples=200)
    for interval in (intervals.mean, intervals.p50, intervals.p95):
        assert interval is not None
        low, high = interval
        assert min(values) - 1e-6 <= low <= high <= max(values) + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(latencies, st.sampled_from("abcde")), max_size=40), st.randoms())
def test_order_changes_nothing(rows: list[tuple[float, str]], chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    def intervals(of: list[tuple[float, str]]) -> Intervals:
        return bootstrap_intervals([v for v, _ in of], [c for _, c in of], resamples=100)

    for name in ("mean", "p50", "p95"):
        there = getattr(intervals(rows), name)
        assert getattr(intervals(shuffled), name) == (there and pytest.approx(there, abs=1e-6))


@settings(max_examples=50, deadline=None)
@given(samples)
def test_weighted_resampling_equals_drawing_and_sorting(values: list[float]) -> None:
    """Every sample once must give the plain figures: seen through intervals of equal clusters."""
    doubled = [*values, *values]
    clusters = ["first"] * len(values) + ["second"] * len(values)
    intervals = bootstrap_intervals(doubled, clusters, resamples=20)
    expected = {
        "mean": float(np.mean(doubled)),
        "p50": percentile(doubled, 50),
        "p95": percentile(doubled, 95),
    }
    for name, figure in expected.items():
        assert getattr(intervals, name) == pytest.approx((figure, figure), abs=1e-6)


def test_the_seed_decides() -> None:
    values = [float(each) for each in range(40)]
    assert bootstrap_intervals(values, seed=1) == bootstrap_intervals(values, seed=1)
    assert bootstrap_intervals(values, seed=1) != bootstrap_intervals(values, seed=2)


def test_many_turns_of_few_speakers_widen_the_interval() -> None:
    generator = np.random.default_rng(3)
    speakers = [index // 25 for index in range(200)]
    values = [300.0 + 80 * (each % 4) + float(generator.normal(0, 5)) for each in speakers]
    alone = bootstrap_intervals(values).mean
    clustered = bootstrap_intervals(values, speakers).mean
    assert alone is not None
    assert clustered is not None
    assert clustered[1] - clustered[0] > 3 * (alone[1] - alone[0])


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    trials = 200
    covered = 0
    for _ in range(trials):
        interval = bootstrap_intervals(generator.normal(250, 60, 40).tolist(), resamples=300).mean
        assert interval is not None
        covered += interval[0] <= 250 <= interval[1]
    assert 0.88 <= covered / trials <= 0.99


def test_word_errors_count_substituted_deleted_and_inserted_words() -> None:
    pairs = [("how old is it", "how cold is"), ("yes", "oh yes")]
    assert word_errors(pairs, str.split) == (3, 5)


def test_a_text_without_words_is_passed_over() -> None:
    assert word_errors([("", "something")], str.split) == (0, 0)


def test_nothing_understood_is_every_word_wrong() -> None:
    assert word_errors([("how old is it", "")], str.split) == (4, 4)
