"""What the loudspeaker has played of late: the far end that an echo canceller needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.audio.resampling import sinc_kernel
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voicebot.audio.clocks import StreamClock
    from voicebot.audio.samples import Samples

__all__ = ["FarEnd", "PlayedTrack"]


class FarEnd(Protocol):
    """A loudspeaker that can be asked what leaves it when."""

    @property
    def leaving_known_until_s(self) -> float:
        """The instant up to which it is settled what leaves the loudspeaker."""
        ...

    def leaving(self, start_s: float, count: int) -> Samples:
        """What leaves the loudspeaker from ``start_s`` on (DAC time); silence where nothing does.

        Args:
            start_s: on the session's clock.
            count: how many samples at 16 kHz.

        Returns:
            Shape (count,), float32, 16 kHz.
        """
        ...


class PlayedTrack:
    """The latest samples of an output stream, read by their DAC times at 16 kHz.

    One thread pushes, another one reads. Reading resamples to 16 kHz by the stream's own clock, so
    that the drift between loudspeaker and microphone is corrected on the way.

    Args:
        rate_hz: of the stream.
        clock: of the stream; counts from its first sample.
        seconds: how much is kept.
    """

    def __init__(self, rate_hz: int, clock: StreamClock, *, seconds: float = 4.0) -> None:
        self._clock = clock
        self._kernel = sinc_kernel(rate_hz, INPUT_SAMPLE_RATE_HZ)
        self._ring: Samples = np.zeros(round(rate_hz * seconds), dtype=np.float32)
        self._count = 0

    @property
    def count(self) -> int:
        """How many samples have been pushed."""
        return self._count

    @property
    def known_until_s(self) -> float:
        """The instant up to which ``leaving`` knows all."""
        if not self._clock.is_set:
            return float("-inf")
        return self._clock.instant_of(self._count - self._kernel.reach - 1)

    def push(self, samples: Samples) -> None:
        """Take what was handed to the device; never waits and allocates nothing.

        Args:
            samples: shape (n,), float32, shorter than what is kept.
        """
        at = self._count % len(self._ring)
        first = min(len(samples), len(self._ring) - at)
        self._ring[at : at + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]
        self._count += len(samples)

    def leaving(self, start_s: float, count: int) -> Samples:
        """See ``FarEnd.leaving``."""
        if not self._clock.is_set:
            return np.zeros(count, dtype=np.float32)
        first = self._clock.index_at(start_s)
        behind = self._clock.index_at(start_s + count / INPUT_SAMPLE_RATE_HZ)
        positions = first + np.arange(count) * ((behind - first) / count)
        begin = int(np.floor(first)) - self._kernel.reach
        end = int(np.floor(behind)) + self._kernel.reach + 2
        return self._kernel.at(self._between(begin, end), positions - begin)

    def _between(self, begin: int, end: int) -> Samples:
        """The samples with these counts; zero where they are not known."""
        indices = np.arange(begin, end)
        samples: Samples = self._ring[indices % len(self._ring)]
        newest = self._count
        samples[(indices >= newest) | (indices < max(0, newest - len(self._ring)))] = 0.0
        return samples
