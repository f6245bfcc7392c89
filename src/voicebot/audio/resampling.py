"""Sample rates converted with almost no delay, at any ratio, also a slowly changing one.

A windowed sinc reaches 16 zero crossings to each side, so that a stream is behind by 1 ms at
16 kHz. soxr's streams, which voicebot uses for files, hold back 6 to 40 ms of a live stream and
give it in bursts, which is too much between a microphone and an answer.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples

__all__ = ["SincKernel", "StreamResampler", "sinc_kernel"]

_ZERO_CROSSINGS = 16
_PHASES = 512
_KAISER_BETA = 9.0  # stop band about 90 dB down
_PASS_BAND = 0.94  # of half the lower rate


class SincKernel:
    """Band-limited interpolation of a waveform; see ``sinc_kernel``.

    Args:
        bandwidth: what is kept, as a part of half the waveform's own rate, in (0, 1].
    """

    def __init__(self, bandwidth: float) -> None:
        self.reach = math.ceil(_ZERO_CROSSINGS / bandwidth)
        """Samples that are needed on each side of a position."""
        phases = np.arange(_PHASES + 1)[:, None] / _PHASES
        distance = np.arange(1 - self.reach, self.reach + 1)[None, :] - phases
        window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / self.reach) ** 2, 0, None)))
        rows = bandwidth * np.sinc(bandwidth * distance) * window
        self._rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        self._taps = np.arange(1 - self.reach, self.reach + 1)

    def at(self, samples: Samples, positions: NDArray[np.floating]) -> Samples:
        """The waveform at ``positions``.

        Args:
            samples: shape (n,).
            positions: shape (m,), in samples; from ``reach - 1`` to below ``n - reach``.

        Returns:
            Shape (m,), float32.
        """
        whole = np.floor(positions).astype(np.int64)
        phase = (positions - whole) * _PHASES
        row = phase.astype(np.int64)
        mix = (phase - row).astype(np.float32)[:, None]
        weights = self._rows[row]
        if mix.any():
            weights = weights + mix * (self._rows[row + 1] - weights)
        stretches = samples[whole[:, None] + self._taps]
        result: Samples = np.einsum("ij,ij->i", stretches, weights)
        return result


@lru_cache(maxsize=8)
def sinc_kernel(from_hz: int, to_hz: int) -> SincKernel:
    """The kernel that reads a waveform of ``from_hz`` at ``to_hz`` without aliases."""
    return SincKernel(_PASS_BAND * min(1.0, to_hz / from_hz))


class StreamResampler:
    """Converts a stream of chunks, as if it were converted as a whole.

    The first sample given stands at the instant of the first one taken; ``n`` samples become
    ``n * to_hz / from_hz``, rounded up, when the stream is flushed.

    Args:
        from_hz: the rate of what is pushed.
        to_hz: the rate of what is given.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._to_hz = to_hz
        self._kernel = sinc_kernel(from_hz, to_hz)
        self._taken = 0
        self._given = 0
        self._waiting: Samples = np.zeros(self._kernel.reach, dtype=np.float32)
        self._waiting_from = -self._kernel.reach

    def push(self, samples: Samples) -> Samples:
        """The next samples; up to 1 ms of them waits for the next call.

        Args:
            samples: shape (n,), float32.
        """
        self._waiting = np.concatenate((self._waiting, samples))
        self._taken += len(samples)
        return self._give(self._taken - self._kernel.reach)

    def tail(self) -> Samples:
        """What waits, if nothing but silence follows; changes nothing."""
        end = -(-self._taken * self._to_hz // self._from_hz)
        silence = np.zeros(self._kernel.reach + 1, dtype=np.float32)
        return self._read(np.concatenate((self._waiting, silence)), end)

    def _give(self, before: int) -> Samples:
        """All that stands before the position ``before`` of the stream."""
        end = max(self._given, -(-before * self._to_hz // self._from_hz))
        given = self._read(self._waiting, end)
        self._given = end
        keep_from = end * self._from_hz // self._to_hz - self._kernel.reach
        drop = min(max(0, keep_from - self._waiting_from), len(self._waiting))
        self._waiting = self._waiting[drop:]
        self._waiting_from += drop
        return given

    def _read(self, samples: Samples, end: int) -> Samples:
        if end <= self._given:
            return np.zeros(0, dtype=np.float32)
        # Whole and rest apart, so that a long stream loses no precision.
        places = np.arange(self._given, end, dtype=np.int64) * self._from_hz
        whole, rest = np.divmod(places, self._to_hz)
        return self._kernel.at(samples, (whole - self._waiting_from) + rest / self._to_hz)
