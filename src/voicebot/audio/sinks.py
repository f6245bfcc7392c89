"""Where the bot's audio goes, and when each sample of it leaves."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.audio.resampling import sinc_kernel
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["AudioSink", "Playback", "VirtualSpeaker", "stitch"]

_SAME_SAMPLE = 0.5
_RECENT_S = 2.0


@dataclass(frozen=True, slots=True)
class Playback:
    """Samples that left the sink without a gap.

    Attributes:
        start_s: the instant at which the first one left (DAC time), on the session's clock.
        samples: shape (n,), float32, at the sink's rate.
    """

    start_s: float
    samples: Samples


class AudioSink(Protocol):
    """A loudspeaker, real or virtual."""

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is written."""
        ...

    @property
    def underruns(self) -> int:
        """How often an utterance ran dry before its next samples came."""
        ...

    def begin(self) -> None:
        """A new utterance starts: a gap before its first samples is no underrun."""
        ...

    def write(self, samples: Samples) -> float:
        """Queue ``samples`` and give the DAC time of the first of them; never waits."""
        ...

    def clear(self) -> float:
        """Drop all that is queued; give the instant behind the last sample that will be heard."""
        ...

    @property
    def ends_s(self) -> float:
        """The instant behind the last queued sample; in the past when nothing is queued."""
        ...


class VirtualSpeaker:
    """A loudspeaker that exists in arithmetic only.

    It behaves as a sound card does that asks for a block every ``block_ms``: what is in the queue
    at such a tick leaves ``output_latency_ms`` later, what comes after it waits for the next. All
    that was played is kept until it is taken.

    Args:
        sample_rate_hz: of what is written.
        block_ms: time between two ticks.
        output_latency_ms: from a tick to the DAC.
    """

    def __init__(self, sample_rate_hz: int, *, block_ms: float, output_latency_ms: float) -> None:
        self._rate = sample_rate_hz
        self._block_samples = max(1, round(block_ms * sample_rate_hz / 1000.0))
        self._latency_s = output_latency_ms / 1000.0
        self._origin_s: float | None = None
        self._cursor = 0  # sample position behind the last queued sample
        self._in_utterance = False
        self._underruns = 0
        self._played: list[tuple[int, Samples]] = []
        self._recent: list[tuple[int, Samples]] = []  # stays when what was played is taken
        self._kernel = sinc_kernel(sample_rate_hz, INPUT_SAMPLE_RATE_HZ)

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is written."""
        return self._rate

    @property
    def underruns(self) -> int:
        """How often an utterance ran dry before its next samples came."""
        return self._underruns

    @property
    def ends_s(self) -> float:
        """The instant behind the last queued sample."""
        return self._instant(self._cursor)

    def begin(self) -> None:
        """A new utterance starts."""
        self._in_utterance = False

    def write(self, samples: Samples) -> float:
        """Queue ``samples``; give the DAC time of the first of them."""
        tick = self._next_tick()
        if self._cursor < tick:
            if self._in_utterance:
                self._underruns += 1
            self._cursor = tick
        first = self._cursor
        self._in_utterance = True
        written = (first, np.asarray(samples, dtype=np.float32))
        self._played.append(written)
        oldest = tick - round(_RECENT_S * self._rate)
        self._recent = [each for each in self._recent if each[0] + len(each[1]) > oldest]
        self._recent.append(written)
        self._cursor += len(samples)
        return self._instant(first)

    def clear(self) -> float:
        """Drop all that no tick has taken yet."""
        tick = self._next_tick()
        self._played = _before(self._played, tick)
        self._recent = _before(self._recent, tick)
        self._cursor = min(self._cursor, tick)
        self._in_utterance = False
        return self.ends_s

    def take_played(self) -> list[Playback]:
        """All that was written and not cleared since the last call, in stretches without gaps."""
        playbacks = self.written()
        self._played = []
        return playbacks

    def written(self) -> list[Playback]:
        """What ``take_played`` would take, which stays, and may still be cleared."""
        return stitch(
            [Playback(self._instant(first), samples) for first, samples in self._played], self._rate
        )

    @property
    def leaving_known_until_s(self) -> float:
        """The instant up to which it is settled what leaves the loudspeaker."""
        return self._instant(self._next_tick() - self._kernel.reach - 1)

    def leaving(self, start_s: float, count: int) -> Samples:
        """What leaves the loudspeaker from ``start_s`` on, of the last 2 s; see ``FarEnd``."""
        first = (start_s - self._instant(0)) * self._rate
        step = self._rate / INPUT_SAMPLE_RATE_HZ
        begin = math.floor(first) - self._kernel.reach
        stretch = np.zeros(math.ceil(count * step) + 2 * self._kernel.reach + 2, dtype=np.float32)
        for position, samples in self._recent:
            start = max(begin, position)
            end = min(begin + len(stretch), position + len(samples))
            if start < end:
                stretch[start - begin : end - begin] = samples[start - position : end - position]
        if not stretch.any():
            return stretch[:count]
        return self._kernel.at(stretch, first - begin + np.arange(count) * step)

    def _origin(self) -> float:
        if self._origin_s is None:
            self._origin_s = asyncio.get_running_loop().time()
        return self._origin_s

    def _next_tick(self) -> int:
        elapsed = (asyncio.get_running_loop().time() - self._origin()) * self._rate
        return math.ceil(elapsed / self._block_samples) * self._block_samples

    def _instant(self, position: int) -> float:
        return self._origin() + position / self._rate + self._latency_s


def _before(written: list[tuple[int, Samples]], tick: int) -> list[tuple[int, Samples]]:
    return [(first, samples[: tick - first]) for first, samples in written if first < tick]


def stitch(playbacks: list[Playback], sample_rate_hz: int) -> list[Playback]:
    """Join the stretches that follow each other without a gap (to half a sample)."""
    joined: list[tuple[float, list[Samples], int]] = []
    for playback in playbacks:
        if joined:
            start_s, parts, count = joined[-1]
            gap_samples = (playback.start_s - start_s) * sample_rate_hz - count
            if abs(gap_samples) < _SAME_SAMPLE:
                parts.append(playback.samples)
                joined[-1] = (start_s, parts, count + len(playback.samples))
                continue
        joined.append((playback.start_s, [playback.samples], len(playback.samples)))
    return [Playback(start_s, np.concatenate(parts)) for start_s, parts, _ in joined]
