"""Intervals of rates and of differences between two ways of playing the same turns. Pure, seeded.

All are percentile bootstrap intervals over clusters, of 95 % unless said otherwise, as in
``statistics``. A difference is paired: each resample draws the same speakers for both sides, so
that what makes a speaker slow to answer, or a clip hard to end, falls out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from voicebot.bench.statistics import (
    RESAMPLES,
    TAIL_95,
    Interval,
    Intervals,
    figures_of_draws,
    interval_of,
    intervals_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "Counts",
    "expanded_tail",
    "paired_intervals",
    "ratio_difference_interval",
    "ratio_interval",
]


def expanded_tail(tail: float, clusters: int) -> float:
    """The tail that a percentile interval of few clusters must be cut at to hold what it says.

    A percentile bootstrap is narrower than Student's interval by sqrt((n - 1) / n) and by the
    difference of the normal's quantile to Student's; cutting further out makes up for both
    (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 5.3). Student's
    quantile is taken from the normal's by its series in one over the degrees of freedom
    (Abramowitz and Stegun, 26.7.5).

    Args:
        tail: that the interval shall leave out at either end, below a half.
        clusters: two or more; with fewer than ten the series is rough.
    """
    normal, v = NormalDist(), clusters - 1
    z = -normal.inv_cdf(tail)
    student = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
    return normal.cdf(-student * sqrt(clusters / v))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a ratio is made of, a pair for each turn: ``parts`` over ``wholes``, both summed."""

    parts: tuple[float, ...]
    wholes: tuple[float, ...]

    @property
    def ratio(self) -> float | None:
        """The ratio of the sums; None where the wholes sum to 0."""
        whole = sum(self.wholes)
        return sum(self.parts) / whole if whole else None


def paired_intervals(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[str],
    *,
    seed: int = 0,
    tail: float = TAIL_95,
) -> Intervals:
    """Intervals of ``second`` minus ``first``: their means, medians and 95th percentiles.

    Args:
        first: a value for each turn.
        second: likewise, of the same turns in the same order.
        clusters: what each turn belongs to; whole clusters are drawn.
        seed: of the draws.
        tail: what each leaves out at either end.

    Returns:
        The intervals, all None with fewer than two clusters.

    Raises:
        ValueError: the three are not of one length.
    """
    numbers, draws = _cluster_draws(clusters, seed)
    if len(first) != len(second) or len(first) != len(clusters):
        raise ValueError(f"{len(first)} and {len(second)} values, {len(clusters)} clusters")
    if draws is None:
        return Intervals(mean=None, p50=None, p95=None)
    differences = _figures(second, numbers, draws) - _figures(first, numbers, draws)
    return intervals_of(differences, tail)


def ratio_interval(
    counts: Counts, clusters: Sequence[str], *, is_share: bool, seed: int = 0
) -> Interval | None:
    """The 95 % interval of a ratio.

    Args:
        counts: of each turn.
        clusters: what each turn belongs to.
        is_share: the parts are counted out of the wholes. Where all or none of them are, every
            resample is alike, and the exact binomial bound of as many independent trials stands
            in for the end that would be missing.
        seed: of the draws.

    Returns:
        The interval; None with fewer than two clusters, or where the wholes sum to 0.
    """
    numbers, draws = _cluster_draws(clusters, seed)
    ratio = counts.ratio
    if draws is None or ratio is None:
        return None
    trials = sum(counts.wholes)
    if is_share and ratio in {0.0, 1.0}:
        far = 1.0 - TAIL_95 ** (1.0 / trials)
        return (0.0, far) if ratio == 0.0 else (1.0 - far, 1.0)
    return _interval(_ratios(counts, numbers, draws))


def ratio_difference_interval(
    first: Counts,
    second: Counts,
    clusters: Sequence[str],
    *,
    seed: int = 0,
    tail: float = TAIL_95,
) -> Interval | None:
    """The interval of ``second``'s ratio minus ``first``'s, of the same turns.

    None with fewer than two clusters, where the wholes of either sum to 0, and where neither has
    any parts: draws of nothing say nothing about how rare it is.
    """
    numbers, draws = _cluster_draws(clusters, seed)
    if draws is None or first.ratio is None or second.ratio is None:
        return None
    if not (any(first.parts) or any(second.parts)):
        return None
    return _interval(_ratios(second, numbers, draws) - _ratios(first, numbers, draws), tail)


def _cluster_draws(
    clusters: Sequence[str], seed: int
) -> tuple[NDArray[np.intp], NDArray[np.int64] | None]:
    """The number of each turn's cluster, and how often each resample holds each cluster.

    Clusters are numbered by name, so that the order of the turns does not matter. The draws have
    the shape (resamples, clusters); None where there are fewer than two clusters.
    """
    names = sorted(set(clusters))
    number = {name: index for index, name in enumerate(names)}
    numbers = np.array([number[name] for name in clusters], dtype=np.intp)
    if len(names) < 2:  # noqa: PLR2004 - two is where spread begins
        return numbers, None
    evenly = np.full(len(names), 1.0 / len(names))
    draws = np.random.default_rng(seed).multinomial(len(names), evenly, size=RESAMPLES)
    return numbers, draws.astype(np.int64)


def _figures(
    values: Sequence[float], numbers: NDArray[np.intp], draws: NDArray[np.int64]
) -> NDArray[np.float64]:
    samples = np.asarray(values, dtype=np.float64)
    order = np.argsort(samples, kind="stable")
    return figures_of_draws(samples[order], draws[:, numbers[order]])


def _ratios(
    counts: Counts, numbers: NDArray[np.intp], draws: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The ratio in each resample; NaN where a resample's wholes sum to 0."""
    clusters = draws.shape[1]
    parts = draws @ np.bincount(numbers, weights=counts.parts, minlength=clusters)
    wholes = draws @ np.bincount(numbers, weights=counts.wholes, minlength=clusters)
    ratios = np.full(len(draws), np.nan)
    np.divide(parts, wholes, out=ratios, where=wholes > 0)
    return ratios


def _interval(values: NDArray[np.float64], tail: float = TAIL_95) -> Interval | None:
    known = values[~np.isnan(values)]
    return interval_of(known, tail) if len(known) else None
