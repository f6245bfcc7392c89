"""The page's clocks, told in the server's (pure).

Three clocks tick in a browser: the page's own (``performance.now``), and one of each audio context,
which count samples. Each is mapped to the one below, and the page's to the server's.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

__all__ = ["CaptureClock", "PageClock", "PlaybackClock"]

_DRIFT = 100e-6  # clocks of computers differ by at most so much
_PROBES_KEPT = 64
_LEAK = 100e-6
_SETTLING_REPORTS = 8
_OUTPUT_PULL = 0.05
_OUTPUT_JUMP_S = 0.05
_REPORTS_KEPT = 40


@dataclass(frozen=True, slots=True)
class _Probe:
    offset_s: float
    half_trip_s: float
    at_s: float


class PageClock:
    """The page's clock against the server's, by pings.

    The page's time was read at some moment between a ping's start and its end, so its middle is
    wrong by half the round trip at most. The probe with the smallest such bound counts; the bound
    of an old one grows by what two clocks may have drifted apart since.
    """

    def __init__(self) -> None:
        self._probes: deque[_Probe] = deque(maxlen=_PROBES_KEPT)

    @property
    def is_known(self) -> bool:
        """Whether any ping was answered."""
        return bool(self._probes)

    @property
    def half_trip_s(self) -> float:
        """The time to the page and back, halved: the least of late; 0 without an answer."""
        return min((probe.half_trip_s for probe in self._probes), default=0.0)

    def observe(self, *, sent_s: float, page_s: float, received_s: float) -> None:
        """A ping was answered."""
        half_s = max(0.0, received_s - sent_s) / 2
        self._probes.append(_Probe(sent_s + half_s - page_s, half_s, received_s))

    def error_s(self, now_s: float) -> float:
        """By how much a mapped instant may be wrong; infinite without an answer."""
        return min((self._bound_s(probe, now_s) for probe in self._probes), default=math.inf)

    def to_server(self, page_s: float, *, now_s: float) -> float:
        """The server's time of the page's ``page_s``; needs an answered ping."""
        best = min(self._probes, key=lambda probe: self._bound_s(probe, now_s))
        return page_s + best.offset_s

    @staticmethod
    def _bound_s(probe: _Probe, now_s: float) -> float:
        return probe.half_trip_s + _DRIFT * max(0.0, now_s - probe.at_s)


class CaptureClock:
    """When a sample of the microphone was taken, on the page's clock.

    A block that is handed over late makes the sample clock look slow, never fast: the smallest
    difference seen lately is the true one.

    Args:
        rate_hz: of the samples.
        input_latency_s: from the microphone to the page.
    """

    def __init__(self, rate_hz: int, *, input_latency_s: float) -> None:
        self._rate_hz = rate_hz
        self._latency_s = input_latency_s
        self._offset_s = math.inf

    def page_s(self, first_sample: int, count: int, *, in_hand_s: float) -> float:
        """The page's time of the first of ``count`` samples, the last being in hand by then."""
        duration_s = count / self._rate_hz
        late_s = in_hand_s - (first_sample / self._rate_hz + duration_s)
        self._offset_s = min(self._offset_s + _LEAK * duration_s, late_s)
        return first_sample / self._rate_hz + self._offset_s - self._latency_s


class PlaybackClock:
    """Where the page's playback is: which frame is computed, and when a frame leaves.

    A browser computes several blocks at a time, and ahead of the loudspeaker. What may still be
    changed is told by the furthest that it was seen to be ahead.

    Args:
        rate_hz: frames a second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._ahead_s: deque[float] = deque(maxlen=_REPORTS_KEPT)
        self._output_s: float | None = None  # server's time minus that of the frames
        self._reports = 0

    @property
    def rate_hz(self) -> int:
        """Frames a second."""
        return self._rate_hz

    @property
    def is_known(self) -> bool:
        """Whether the page has reported."""
        return self._output_s is not None

    def observe(
        self, *, rendered_frame: int, at_s: float, output_frame: int, output_at_s: float
    ) -> None:
        """The page's report, its instants on the server's clock."""
        self._reports += 1
        self._ahead_s.append(rendered_frame / self._rate_hz - at_s)
        measured_s = output_at_s - output_frame / self._rate_hz
        if self._output_s is None or abs(measured_s - self._output_s) > _OUTPUT_JUMP_S:
            self._output_s = measured_s
            self._reports = 1
        else:
            pull = max(_OUTPUT_PULL, 1 / self._reports) if self._settles() else _OUTPUT_PULL
            self._output_s += pull * (measured_s - self._output_s)

    def rendered_frame(self, at_s: float) -> int:
        """The frame behind all that can be computed by ``at_s``."""
        return max(0, math.ceil((at_s + max(self._ahead_s, default=0.0)) * self._rate_hz))

    def leaves_s(self, frame: int) -> float:
        """When ``frame`` leaves the loudspeaker."""
        return frame / self._rate_hz + (self._output_s or 0.0)

    def _settles(self) -> bool:
        return self._reports <= _SETTLING_REPORTS
