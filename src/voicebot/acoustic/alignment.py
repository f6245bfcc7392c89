"""Where a known clip lies in a recording, by cross-correlation (pure).

The normalised cross-correlation of the clip with every stretch of the recording is computed with
the FFT (J. P. Lewis, "Fast Normalized Cross-Correlation", 1995, without the mean, since audio has
none), and its peak is refined by the parabola through its neighbours. It does not depend on the
gain, nor on the sign. What counts is the true end, so the last stretch of speech is located by
itself: a clock that drifts, or a dropout earlier in the clip, does not move it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples

__all__ = ["MATCH_MIN", "Alignment", "align_clip", "locate"]

MATCH_MIN = 0.3
"""A peak of the normalised cross-correlation below this is no match."""

_TAIL_S = 1.0
_TAIL_SEARCH_S = 0.1
_ENERGY_FLOOR = 1e-9  # of a stretch's mean square, -90 dBFS: below it there is nothing to match


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a clip was played.

    Attributes:
        start: index in the recording, with a fraction, at which the clip's first sample lies.
        true_end: that of the clip's labelled end.
        match: normalised cross-correlation at the end of the clip, 0 to 1.
        stretch_ms: how much later the end lies than the start and the clip's length say. Drift
            makes it a fraction of a millisecond; more is a dropout in the playing or recording.
    """

    start: float
    true_end: float
    match: float
    stretch_ms: float


def locate(recording: Samples, clip: Samples) -> tuple[float, float]:
    """The index at which ``clip`` begins in ``recording``, and how well it matches there.

    Args:
        recording: shape (n,).
        clip: shape (m,), m <= n; the same sample rate.

    Returns:
        The index with a fraction, and the size of the normalised cross-correlation, 0 to 1; 0 if
        either is silent.
    """
    lags = recording.size - clip.size + 1
    if lags < 1 or not clip.size:
        return 0.0, 0.0
    x, y = recording.astype(np.float64), clip.astype(np.float64)
    size = 1 << (x.size + y.size - 1).bit_length()
    product = np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size))
    correlation = np.fft.irfft(product, size)[:lags]
    running = np.concatenate(([0.0], np.cumsum(np.square(x))))
    energy = running[y.size :] - running[:lags]
    own = float(np.sum(np.square(y)))
    floor = _ENERGY_FLOOR * y.size
    if own < floor:
        return 0.0, 0.0
    heard = energy > floor
    matches: NDArray[np.float64] = np.zeros(lags)
    matches[heard] = np.abs(correlation[heard]) / np.sqrt(energy[heard] * own)
    peak = int(np.argmax(matches))
    return peak + _vertex(matches, peak), min(1.0, float(matches[peak]))


def align_clip(
    recording: Samples, clip: Samples, sample_rate_hz: int, *, true_end_s: float
) -> Alignment:
    """Locate a clip as a whole, then its last stretch of speech by itself.

    Args:
        recording: shape (n,); the caller's channel, long enough to hold the clip.
        clip: shape (m,); what was played, at the recording's rate.
        sample_rate_hz: of both.
        true_end_s: the label, in seconds from the clip's first sample.

    Returns:
        See ``Alignment``; a ``match`` below ``MATCH_MIN`` says that the clip is not there.
    """
    start, match = locate(recording, clip)
    end = min(clip.size, round(true_end_s * sample_rate_hz))
    from_sample = max(0, end - round(_TAIL_S * sample_rate_hz))
    around = round(_TAIL_SEARCH_S * sample_rate_hz)
    begin = max(0, round(start) + from_sample - around)
    stretch = recording[begin : round(start) + end + around]
    at, tail_match = locate(stretch, clip[from_sample:end])
    true_end = true_end_s * sample_rate_hz
    if tail_match == 0.0:
        return Alignment(start, start + true_end, match, 0.0)
    late = begin + at - from_sample - start
    return Alignment(
        start=start,
        true_end=start + late + true_end,
        match=tail_match,
        stretch_ms=late * 1000.0 / sample_rate_hz,
    )


def _vertex(values: NDArray[np.float64], peak: int) -> float:
    """How far the top of the parabola through three points lies from the middle one."""
    if not 0 < peak < values.size - 1:
        return 0.0
    before, at, after = values[peak - 1 : peak + 2]
    bend = before - 2.0 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0.0 else 0.0
