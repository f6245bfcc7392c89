"""Whether the machine was left alone while it measured: what others took of it meanwhile.

A latency is a property of a machine that does nothing else. On a shared or hot one, the same
program is slower for reasons that no trace of it shows, so the run records them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from voicebot.bench.record import MachineState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CpuTimes", "MachineWatch", "read_cpu_times"]

_THROTTLE_FILES = "cpu*/thermal_throttle/core_throttle_count"
_SYSTEM_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Processor seconds of the whole machine since it started, all cores together.

    Attributes:
        total_s: all of it, idle time included.
        busy_s: spent on programs and the system.
        stolen_s: given to other virtual machines while this one had work; 0 where not told.
        throttles: how often a core was slowed down because it was hot; 0 where not told.
    """

    total_s: float
    busy_s: float
    stolen_s: float
    throttles: int


def read_cpu_times(cpus: Path = _SYSTEM_CPUS) -> CpuTimes:
    """The times up to now.

    Args:
        cpus: the folder in which Linux tells of throttling; elsewhere it is not there.
    """
    times = psutil.cpu_times()
    stolen_s = float(getattr(times, "steal", 0.0))
    idle_s = float(times.idle) + float(getattr(times, "iowait", 0.0))
    # A guest's time is in user time already.
    total_s = float(sum(times)) - sum(
        float(getattr(times, name, 0.0)) for name in ("guest", "guest_nice")
    )
    return CpuTimes(total_s, total_s - idle_s - stolen_s, stolen_s, _throttles(cpus))


class MachineWatch:
    """Looks at the machine when it is made, and again when it is asked.

    Args:
        own_cpu_s: processor seconds so far of this process and its children.
        read: gives the machine's times.
        load: the machine's load of the last minute; taken once, at the beginning.
    """

    def __init__(
        self,
        own_cpu_s: Callable[[], float],
        *,
        read: Callable[[], CpuTimes] = read_cpu_times,
        load: Callable[[], float] = lambda: psutil.getloadavg()[0],
    ) -> None:
        self._own_cpu_s = own_cpu_s
        self._read = read
        self._load_before = load()
        self._before = read()
        self._own_before_s = own_cpu_s()

    def state(self) -> MachineState:
        """What has happened since."""
        now = self._read()
        total_s = now.total_s - self._before.total_s
        own_s = self._own_cpu_s() - self._own_before_s
        others_s = now.busy_s - self._before.busy_s - own_s

        def share(part_s: float) -> float:
            return min(1.0, max(0.0, part_s / total_s)) if total_s > 0 else 0.0

        return MachineState(
            load_before=round(self._load_before, 2),
            others_share=round(share(others_s), 4),
            stolen_share=round(share(now.stolen_s - self._before.stolen_s), 4),
            throttles=max(0, now.throttles - self._before.throttles),
            timer_resolution_us=time.get_clock_info("perf_counter").resolution * 1e6,
        )


def _throttles(cpus: Path) -> int:
    total = 0
    for file in cpus.glob(_THROTTLE_FILES):
        try:
            total += int(file.read_text(encoding="ascii"))
        except (OSError, ValueError):  # a core that went away, or a kernel that tells nothing
            continue
    return total
