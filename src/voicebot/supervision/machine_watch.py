"""Watches memory, disk and the event loop."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import psutil

from voicebot.supervision.facts import DiskLow, LoopStalled, MemoryHigh, NewProcessWanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.supervision.facts import SupervisionFact

__all__ = ["DiskWatch", "LoopWatch", "MemoryWatch", "free_disk_mib", "used_memory_mib"]

_MIB = 2**20
_LOOP_LOOK_S = 0.05
_ALMOST = 0.9


def used_memory_mib() -> int:
    """Resident memory of this process."""
    return round(psutil.Process().memory_info().rss / _MIB)


def free_disk_mib(folder: Path) -> int:
    """Free space where ``folder`` lies, or would lie."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    return shutil.disk_usage(there).free // _MIB


class MemoryWatch:
    """Asks for a new process when too much memory is in use and nobody is talking.

    Args:
        max_mib: the limit; 0 is none.
        used_mib: tells what is in use.
        is_idle: tells whether nobody is talking.
        notify: takes facts.
    """

    def __init__(
        self,
        max_mib: int,
        *,
        is_idle: Callable[[], bool],
        notify: Callable[[SupervisionFact], None],
        used_mib: Callable[[], int] = used_memory_mib,
    ) -> None:
        self._max_mib = max_mib
        self._used_mib = used_mib
        self._is_idle = is_idle
        self._notify = notify
        self._is_told = False
        self._is_wanted = False

    def check(self) -> None:
        """Look once; call it every few seconds."""
        used_mib = self._used_mib()
        if not self._max_mib or used_mib <= self._max_mib:
            self._is_told = self._is_told and used_mib > _ALMOST * self._max_mib
            return
        fact = MemoryHigh(used_mib, self._max_mib)
        if not self._is_told:
            self._is_told = True
            self._notify(fact)
        if self._is_idle() and not self._is_wanted:
            self._is_wanted = True
            self._notify(NewProcessWanted(fact.line))


class DiskWatch:
    """Warns when the disk runs full, and removes old logs.

    Args:
        min_mib: so much is to be free; 0 is nothing.
        free_mib: tells what is.
        remove_logs: removes old log files and tells how many.
        notify: takes facts.
    """

    def __init__(
        self,
        min_mib: int,
        *,
        free_mib: Callable[[], int],
        remove_logs: Callable[[], int],
        notify: Callable[[SupervisionFact], None],
    ) -> None:
        self._min_mib = min_mib
        self._free_mib = free_mib
        self._remove_logs = remove_logs
        self._notify = notify
        self._is_told = False

    def check(self) -> None:
        """Look once; call it every minute or so."""
        free_mib = self._free_mib()
        if free_mib >= self._min_mib:
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            self._notify(DiskLow(free_mib, self._min_mib, self._remove_logs()))


class LoopWatch:
    """Tells of an event loop that stood still.

    Args:
        stall_ms: to be late by more than this.
        notify: takes facts.
    """

    def __init__(self, stall_ms: float, *, notify: Callable[[SupervisionFact], None]) -> None:
        self._stall_s = stall_ms / 1000.0
        self._notify = notify

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _LOOP_LOOK_S
            await asyncio.sleep(_LOOP_LOOK_S)
            self.look(loop.time() - due_s)

    def look(self, late_s: float) -> None:
        """Judge how late a look came."""
        if late_s > self._stall_s:
            self._notify(LoopStalled(late_s * 1000.0))
