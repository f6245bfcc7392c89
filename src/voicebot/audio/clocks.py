"""When a stream's samples pass the converter: device clocks mapped to the event loop's.

A sound card's samples are the steadiest clock there is, but it runs some millionths faster or
slower than the computer's, and a driver's reports of ADC and DAC times jitter. A delay-locked
loop of second order draws both together (F. Adriaensen, "Using a DLL to filter time", Linux Audio
Conference 2005): the instants are smooth to a fraction of a sample, and drift leaves no error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["DeviceTime", "StreamClock"]

_BANDWIDTH_HZ = 0.05
_FIRST_BANDWIDTH_HZ = 1.0
_DRIFT_MAX = 1e-3
_GAP_S = 0.1
_ASTRAY_S = 0.004
_ASTRAY_LONG_S = 0.3
_LEAK_S = 1e-6  # a callback; follows clocks that drift apart by 100 parts in a million


class DeviceTime:
    """Maps a stream's own time to the event loop's.

    A callback that ran late makes the difference of the two clocks look larger than it is, never
    smaller: the smallest difference seen lately is the true one.
    """

    def __init__(self) -> None:
        self._offset_s = math.inf

    def to_loop(self, instant_s: float, *, current_s: float, now_s: float) -> float:
        """The loop's time of the stream's ``instant_s``, given both clocks' present time."""
        self._offset_s = min(self._offset_s + _LEAK_S, now_s - current_s)
        return instant_s + self._offset_s


@dataclass(frozen=True, slots=True)
class _Line:
    """At ``instant_s`` sample ``index`` passes, and then one every ``period_s``."""

    index: int
    instant_s: float
    period_s: float


class StreamClock:
    """Maps a stream's sample counts to instants, and back.

    One thread observes; any thread may ask.

    Args:
        rate_hz: the stream's nominal rate.
    """

    def __init__(self, rate_hz: int) -> None:
        self._nominal_s = 1.0 / rate_hz
        self._line: _Line | None = None
        self._since_s = 0.0
        self._astray: list[float] = []
        self._astray_from = 0

    @property
    def is_set(self) -> bool:
        """Whether anything has been observed."""
        return self._line is not None

    @property
    def drift_ppm(self) -> float:
        """How much faster than its nominal rate the stream runs, in parts per million."""
        return 0.0 if self._line is None else (self._nominal_s / self._line.period_s - 1.0) * 1e6

    def observe(self, index: int, instant_s: float) -> bool:
        """Take note that sample ``index`` was reported to pass at ``instant_s``.

        Returns:
            Whether the stream has jumped: samples were lost, or it was started anew.
        """
        line = self._line
        if line is None:
            self._line = _Line(index, instant_s, self._nominal_s)
            self._since_s = instant_s
            return False
        elapsed = index - line.index
        expected_s = line.instant_s + elapsed * line.period_s
        error_s = instant_s - expected_s
        if abs(error_s) > _GAP_S:
            return self._jump(index, instant_s)
        if self._is_astray(index, error_s):
            return self._jump(index, expected_s + sum(self._astray) / len(self._astray))
        if elapsed <= 0:
            return False
        step_s = elapsed * self._nominal_s
        bandwidth_hz = max(_BANDWIDTH_HZ, _FIRST_BANDWIDTH_HZ / (1.0 + instant_s - self._since_s))
        omega = min(1.0, 2.0 * math.pi * bandwidth_hz * step_s)
        period_s = line.period_s + omega * omega * error_s / elapsed
        limit_s = _DRIFT_MAX * self._nominal_s
        period_s = min(max(period_s, self._nominal_s - limit_s), self._nominal_s + limit_s)
        corrected_s = expected_s + math.sqrt(2.0) * omega * error_s
        self._line = _Line(index, corrected_s, period_s)
        return False

    def _is_astray(self, index: int, error_s: float) -> bool:
        """Whether all reports of late lie to one side: a stream that has just started or moved."""
        if abs(error_s) < _ASTRAY_S or (self._astray and error_s * self._astray[-1] < 0):
            self._astray.clear()
            return False
        if not self._astray:
            self._astray_from = index
        self._astray.append(error_s)
        return (index - self._astray_from) * self._nominal_s > _ASTRAY_LONG_S

    def _jump(self, index: int, instant_s: float) -> bool:
        """Begin anew, with the drift that is known."""
        self._line = _Line(index, instant_s, self._known().period_s)
        self._since_s = instant_s
        self._astray.clear()
        return True

    def instant_of(self, index: float) -> float:
        """When sample ``index`` passes; only once something has been observed."""
        line = self._known()
        return line.instant_s + (index - line.index) * line.period_s

    def index_at(self, instant_s: float) -> float:
        """Which sample passes at ``instant_s``; only once something has been observed."""
        line = self._known()
        return line.index + (instant_s - line.instant_s) / line.period_s

    def _known(self) -> _Line:
        assert self._line is not None  # noqa: S101  # whoever asks has looked at is_set
        return self._line
