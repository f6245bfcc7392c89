"""What the bot has played and is about to, on the session's clock. Pure but for its own state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.sinks import AudioSink, Playback

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["BotTrack", "TappedSink"]

_SAME_STRETCH_S = 0.005
"""A device's estimate of its own clock moves by less than this from one write to the next."""


@dataclass(slots=True)
class _Stretch:
    """Samples that are played without a gap."""

    start_s: float
    parts: list[Samples] = field(default_factory=list)
    count: int = 0


class BotTrack:
    """Keeps what was written to a sink until it was played and taken.

    Args:
        sample_rate_hz: of what is written.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._stretches: list[_Stretch] = []

    def add(self, start_s: float, samples: Samples) -> None:
        """The sink took ``samples``, whose first one leaves it at ``start_s``."""
        if not len(samples):
            return
        last = self._stretches[-1] if self._stretches else None
        if last is None or abs(start_s - self._end_s(last)) > _SAME_STRETCH_S:
            last = _Stretch(start_s)
            self._stretches.append(last)
        last.parts.append(samples)
        last.count += len(samples)

    def cut(self, instant_s: float) -> None:
        """The sink dropped what would have left it from then on."""
        for stretch in self._stretches:
            kept = max(0, round((instant_s - stretch.start_s) * self.sample_rate_hz))
            if kept < stretch.count:
                stretch.parts = [np.concatenate(stretch.parts)[:kept]]
                stretch.count = kept
        self._stretches = [stretch for stretch in self._stretches if stretch.count]

    def render(self, start_s: float, count: int) -> Samples:
        """``count`` samples from ``start_s`` on, silence where nothing is played."""
        track = np.zeros(count, dtype=np.float32)
        for stretch in self._stretches:
            at = round((stretch.start_s - start_s) * self.sample_rate_hz)
            for part in stretch.parts:
                first, last = max(0, at), min(count, at + len(part))
                if first < last:
                    track[first:last] = part[first - at : last - at]
                at += len(part)
        return track

    def take_played(self, until_s: float) -> list[Playback]:
        """The stretches that were over by ``until_s``, which are forgotten."""
        over = [item for item in self._stretches if self._end_s(item) + _SAME_STRETCH_S < until_s]
        self._stretches = [item for item in self._stretches if item not in over]
        return [Playback(item.start_s, np.concatenate(item.parts)) for item in over]

    def _end_s(self, stretch: _Stretch) -> float:
        return stretch.start_s + stretch.count / self.sample_rate_hz


class TappedSink:
    """A sink that also tells a track what it plays.

    Args:
        sink: the sink.
        track: is told.
    """

    def __init__(self, sink: AudioSink, track: BotTrack) -> None:
        self._sink = sink
        self._track = track

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is written."""
        return self._sink.sample_rate_hz

    @property
    def underruns(self) -> int:
        """How often an utterance ran dry before its next samples came."""
        return self._sink.underruns

    @property
    def ends_s(self) -> float:
        """The instant behind the last queued sample."""
        return self._sink.ends_s

    def begin(self) -> None:
        """A new utterance starts."""
        self._sink.begin()

    def write(self, samples: Samples) -> float:
        """Queue ``samples`` and give the DAC time of the first of them."""
        starts_s = self._sink.write(samples)
        self._track.add(starts_s, np.asarray(samples, dtype=np.float32))
        return starts_s

    def clear(self) -> float:
        """Drop all that is queued."""
        silent_from_s = self._sink.clear()
        self._track.cut(silent_from_s)
        return silent_from_s
