"""Figures from samples: percentiles, intervals, word error rate. Pure, seeded, order-blind.

A percentile is numpy's default: linear interpolation between the two nearest order statistics
(type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996).

An interval is a 95 % percentile bootstrap (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13). With clusters whole clusters are drawn with replacement, since the
turns of one speaker resemble each other and count for less than as many strangers would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import jiwer
import numpy as np

from voicebot.bench.record import Distribution

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "RESAMPLES",
    "TAIL_95",
    "Interval",
    "Intervals",
    "bootstrap_intervals",
    "describe",
    "figures_of_draws",
    "interval_of",
    "intervals_of",
    "percentile",
    "word_errors",
]

Interval: TypeAlias = tuple[float, float]
"""Low and high end."""

RESAMPLES = 2_000
"""How many times samples are drawn again for an interval."""

TAIL_95 = 0.025
"""What a 95 % interval leaves out at either end."""

_CELLS_AT_ONCE = 2_000_000
"""Resamples are drawn in blocks of at most so many counts, to bound memory (16 MB)."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of three figures; all None where the data cannot give any."""

    mean: Interval | None
    p50: Interval | None
    p95: Interval | None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The ``percent``-th percentile (0 to 100) of ``values``; None if there are none."""
    if not values:
        return None
    return float(np.percentile(np.asarray(values, dtype=np.float64), percent))


def bootstrap_intervals(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """95 % intervals of the mean, the median and the 95th percentile of ``values``.

    Args:
        values: the samples, finite.
        clusters: what each sample belongs to, as long as ``values``; whole clusters are drawn.
            Without it every sample stands for itself.
        resamples: how many times to draw.
        seed: of the draws; the same values give the same intervals in any order.

    Returns:
        The intervals, all None with fewer than two samples or fewer than two clusters: one
        speaker tells nothing about how far others lie apart.

    Raises:
        ValueError: ``clusters`` is not as long as ``values``.
    """
    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"{len(values)} values, but {len(clusters)} cluster labels")
    samples = np.asarray(values, dtype=np.float64)
    order, cluster_of, cluster_count = _canonical_order(samples, clusters)
    if cluster_count < 2:  # noqa: PLR2004 - two is where spread begins
        return Intervals(mean=None, p50=None, p95=None)
    samples = samples[order]
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // len(samples))
    drawn: list[NDArray[np.float64]] = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        evenly = np.full(cluster_count, 1.0 / cluster_count)
        cluster_draws = generator.multinomial(cluster_count, evenly, size=rows)
        drawn.append(figures_of_draws(samples, cluster_draws[:, cluster_of]))
    return intervals_of(np.concatenate(drawn))


def intervals_of(figures: NDArray[np.float64], tail: float = TAIL_95) -> Intervals:
    """The intervals of resampled figures, shape (resamples, 3): mean, p50, p95."""
    mean, p50, p95 = (interval_of(column, tail) for column in figures.T)
    return Intervals(mean=mean, p50=p50, p95=p95)


def interval_of(values: NDArray[np.float64], tail: float = TAIL_95) -> Interval:
    """The percentile interval of one resampled figure that leaves out ``tail`` at either end."""
    low, high = np.percentile(values, [100 * tail, 100 * (1 - tail)])
    return float(low), float(high)


def figures_of_draws(
    ascending: NDArray[np.float64], times_drawn: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean, median and 95th percentile of each resample; shape (resamples, 3).

    A resample is given by how many times it holds each of the ``ascending`` samples, which spares
    sorting it: its k-th value is where the running count passes k.
    """
    running = np.cumsum(times_drawn, axis=1)
    sizes = running[:, -1]
    means = times_drawn @ ascending / sizes

    def value_at(position: NDArray[np.int64]) -> NDArray[np.float64]:
        indices = (running <= position[:, None]).sum(axis=1)
        chosen: NDArray[np.float64] = np.take(ascending, indices)
        return chosen

    columns = [means]
    for fraction in (0.50, 0.95):
        place = fraction * (sizes - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, sizes - 1)
        low, high = value_at(below), value_at(above)
        columns.append(low + (place - below) * (high - low))
    return np.stack(columns, axis=1)


def describe(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Distribution:
    """All figures of ``values`` at once; see ``bootstrap_intervals`` for the arguments."""
    intervals = bootstrap_intervals(values, clusters, seed=seed)
    return Distribution(
        mean=float(np.mean(values)) if values else None,
        p50=percentile(values, 50),
        p90=percentile(values, 90),
        p95=percentile(values, 95),
        max=max(values, default=None),
        p50_ci95=intervals.p50,
        p95_ci95=intervals.p95,
        mean_ci95=intervals.mean,
        min=min(values, default=None),
        count=len(values),
    )


def word_errors(
    pairs: Sequence[tuple[str, str]], normalise: Callable[[str], Sequence[str]]
) -> tuple[int, int]:
    """Word errors over pairs of what was said and what was understood.

    Args:
        pairs: (expected text, transcript).
        normalise: brings a text to plain words.

    Returns:
        Errors (substituted, deleted and inserted words) and words expected. Pairs of which the
        expected text has no words are passed over. The word error rate is their quotient.
    """
    expected, understood = [], []
    for text, transcript in pairs:
        words = normalise(text)
        if words:
            expected.append(" ".join(words))
            understood.append(" ".join(normalise(transcript)))
    if not expected:
        return 0, 0
    counts = jiwer.process_words(expected, understood)
    errors = counts.substitutions + counts.deletions + counts.insertions
    return int(errors), int(counts.hits + counts.substitutions + counts.deletions)


def _canonical_order(
    samples: NDArray[np.float64], clusters: Sequence[Hashable] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Ascending order of the samples, the cluster number of each, and how many clusters.

    Clusters are numbered by their own sorted values, so that neither the order of the samples
    nor the names of the clusters changes which resamples a seed draws.
    """
    order = np.argsort(samples, kind="stable")
    if clusters is None:
        return order, np.arange(len(samples)), len(samples)
    members: dict[Hashable, list[float]] = {}
    for index in order:
        members.setdefault(clusters[index], []).append(float(samples[index]))
    ranked = sorted(members, key=members.__getitem__)
    number = {cluster: index for index, cluster in enumerate(ranked)}
    cluster_of = np.array([number[clusters[index]] for index in order], dtype=np.intp)
    return order, cluster_of, len(members)
