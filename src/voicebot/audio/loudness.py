"""Where a waveform can be heard: pure functions of its samples.

The samples are cut into windows of 10 ms. Window ``k`` covers the samples from ``k * n`` up to but
not including ``(k + 1) * n``, where ``n`` is the sample rate divided by 100, rounded half up. The
grid begins at the first sample given. A last window that the samples do not fill is filled up with
zeros, as a sink that has nothing more to play is silent.

A window is audible when its RMS level is above -45 dBFS. An RMS of 1.0 is 0 dBFS, so that a sine
of full scale lies at -3 dBFS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples

__all__ = [
    "AUDIBLE_LEVEL_DBFS",
    "audible_spans",
    "audible_windows",
    "first_audible",
    "last_audible",
    "window_samples",
]

AUDIBLE_LEVEL_DBFS = -45.0
"""RMS level of a window above which it counts as heard."""

_WINDOWS_PER_SECOND = 100


def window_samples(sample_rate_hz: int) -> int:
    """How many samples a window of 10 ms has, at least 1."""
    return max(1, (sample_rate_hz + _WINDOWS_PER_SECOND // 2) // _WINDOWS_PER_SECOND)


def audible_windows(samples: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """Which windows of the waveform can be heard.

    Args:
        samples: shape (n,), finite.
        sample_rate_hz: their rate.

    Returns:
        Shape (windows,), where the last window may be a partial one.
    """
    size = window_samples(sample_rate_hz)
    count = -(-samples.size // size)
    padded = np.zeros(count * size, dtype=np.float64)
    padded[: samples.size] = samples
    power = np.mean(np.square(padded).reshape(count, size), axis=1)
    audible: NDArray[np.bool_] = power > 10.0 ** (AUDIBLE_LEVEL_DBFS / 10.0)
    return audible


def first_audible(samples: Samples, sample_rate_hz: int) -> int | None:
    """Index of the sample at which the first audible window starts; None if there is none."""
    audible = np.flatnonzero(audible_windows(samples, sample_rate_hz))
    return int(audible[0]) * window_samples(sample_rate_hz) if audible.size else None


def last_audible(samples: Samples, sample_rate_hz: int) -> int | None:
    """Index behind the last sample of the last audible window; None if there is none."""
    audible = np.flatnonzero(audible_windows(samples, sample_rate_hz))
    if not audible.size:
        return None
    return min((int(audible[-1]) + 1) * window_samples(sample_rate_hz), samples.size)


def audible_spans(
    samples: Samples, sample_rate_hz: int, join_gap_ms: float = 0.0
) -> list[tuple[int, int]]:
    """The stretches of the waveform that can be heard.

    Args:
        samples: shape (n,), finite.
        sample_rate_hz: their rate.
        join_gap_ms: stretches with no more than this between them count as one.

    Returns:
        ``(start_sample, end_sample)`` of each stretch in order, the end behind its last sample.
        Starts lie on the window grid; ends too, or at the end of the samples.
    """
    size = window_samples(sample_rate_hz)
    audible = audible_windows(samples, sample_rate_hz)
    edges = np.diff(np.concatenate(([0], audible.view(np.int8), [0])))
    starts = np.flatnonzero(edges == 1) * size
    ends = np.minimum(np.flatnonzero(edges == -1) * size, samples.size)
    if not starts.size:
        return []
    apart = starts[1:] - ends[:-1] > join_gap_ms * sample_rate_hz / 1000.0
    starts = starts[np.concatenate(([True], apart))]
    ends = ends[np.concatenate((apart, [True]))]
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
