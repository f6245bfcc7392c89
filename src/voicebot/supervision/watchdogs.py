"""All that watches the process, as one coroutine."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from voicebot.supervision.log_files import remove_old_logs
from voicebot.supervision.machine_watch import DiskWatch, LoopWatch, MemoryWatch, free_disk_mib

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.config import SupervisionSettings
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["run_watchdogs"]

_MEMORY_EVERY_S = 10.0
_DISK_EVERY_S = 60.0

_log = logging.getLogger("voicebot.supervision")


async def run_watchdogs(
    settings: SupervisionSettings,
    *,
    disk_folder: Path,
    is_idle: Callable[[], bool],
    notify: Callable[[SupervisionFact], None],
) -> None:
    """Watch memory, disk and the event loop until cancelled.

    Args:
        settings: the limits.
        disk_folder: lies on the disk to watch.
        is_idle: whether nobody is talking.
        notify: takes facts, on the loop.
    """
    memory = MemoryWatch(settings.memory_max_mib, is_idle=is_idle, notify=notify)
    disk = DiskWatch(
        settings.disk_free_min_mib,
        free_mib=lambda: free_disk_mib(disk_folder),
        remove_logs=lambda: remove_old_logs(settings.log_file),
        notify=notify,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(LoopWatch(settings.loop_stall_ms, notify=notify).run())
        tasks.create_task(_every(_MEMORY_EVERY_S, memory.check))
        tasks.create_task(_every(_DISK_EVERY_S, disk.check))


async def _every(period_s: float, check: Callable[[], None]) -> None:
    while True:
        try:
            check()
        except OSError as error:  # a folder that vanished, say: look again later
            _log.warning("a watchdog could not look: %s", error)
        await asyncio.sleep(period_s)
