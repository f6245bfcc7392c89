"""What a run costs: processor time, memory, and how late the event loop was."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["LoopStallMeter", "ProcessMeter"]

_MIB = 1024.0 * 1024.0
_LOOP_PERIOD_S = 0.01
_MEMORY_PERIOD_S = 0.5


class ProcessMeter:
    """Processor time and memory of this process and its children together."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._peak_rss_bytes = 0

    def cpu_seconds(self) -> float:
        """User and system time so far of this process and its living children."""
        total = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):  # it ended between listing and looking
                times = process.cpu_times()
                total += float(times.user) + float(times.system)
        return total

    @property
    def peak_rss_mib(self) -> float:
        """The highest sum of resident memory seen so far."""
        self.sample_memory()
        return self._peak_rss_bytes / _MIB

    def sample_memory(self) -> None:
        """Look at the resident memory once."""
        total = 0
        for process in self._family():
            with contextlib.suppress(psutil.Error):  # it ended between listing and looking
                total += process.memory_info().rss
        self._peak_rss_bytes = max(self._peak_rss_bytes, total)

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


class LoopStallMeter:
    """How late the event loop is for its own alarms: the delay that everything on it suffers.

    Args:
        process: whose memory is sampled along the way.
    """

    def __init__(self, process: ProcessMeter) -> None:
        self._process = process
        self._late_ms: list[float] = []

    @property
    def p95_ms(self) -> float | None:
        """95th percentile of the lateness; None before the first alarm."""
        return float(np.percentile(self._late_ms, 95)) if self._late_ms else None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure while the context lasts."""
        task = asyncio.create_task(self._measure())
        try:
            yield
        finally:
            task.cancel()

    async def _measure(self) -> None:
        next_memory_s = 0.0
        while True:
            due_s = time.perf_counter() + _LOOP_PERIOD_S
            await asyncio.sleep(_LOOP_PERIOD_S)
            now_s = time.perf_counter()
            self._late_ms.append(max(0.0, now_s - due_s) * 1000.0)
            if now_s >= next_memory_s:
                self._process.sample_memory()
                next_memory_s = now_s + _MEMORY_PERIOD_S
