"""How far two figures of the same turns lie apart (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.bench.statistics import bootstrap_intervals, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.statistics import Interval

__all__ = ["Bias", "bias_of"]

_SPREAD_FROM = 2


@dataclass(frozen=True, slots=True)
class Bias:
    """A sample of differences in milliseconds; None where there are too few to tell.

    Attributes:
        turns: how many.
        mean: the bias.
        mean_ci95: its 95 % interval, by the bootstrap of ``bench/statistics.py``.
        sd: standard deviation of a single difference, with n - 1.
        p50: median.
        p50_ci95: its 95 % interval.
        p95: 95th percentile.
        min: smallest.
        max: largest.
    """

    turns: int
    mean: float | None = None
    mean_ci95: Interval | None = None
    sd: float | None = None
    p50: float | None = None
    p50_ci95: Interval | None = None
    p95: float | None = None
    min: float | None = None
    max: float | None = None


def bias_of(differences_ms: Sequence[float]) -> Bias:
    """The bias and its spread.

    Args:
        differences_ms: one for each turn, finite.
    """
    count = len(differences_ms)
    if not count:
        return Bias(0)
    intervals = bootstrap_intervals(differences_ms)
    return Bias(
        turns=count,
        mean=float(np.mean(differences_ms)),
        mean_ci95=intervals.mean,
        sd=float(np.std(differences_ms, ddof=1)) if count >= _SPREAD_FROM else None,
        p50=percentile(differences_ms, 50),
        p50_ci95=intervals.p50,
        p95=percentile(differences_ms, 95),
        min=min(differences_ms),
        max=max(differences_ms),
    )
