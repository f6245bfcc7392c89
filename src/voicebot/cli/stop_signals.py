"""Ending in good order when the system asks."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["stopped_by_signals"]


@contextmanager
def stopped_by_signals(
    stop: Callable[[], object], *, names: tuple[str, ...] = ("SIGTERM", "SIGHUP")
) -> Iterator[None]:
    """Call ``stop`` instead of dying; a SIGINT not named cancels in asyncio's own way.

    Args:
        stop: called in the event loop, once for each signal.
        names: the signals; those that the system lacks are left out.
    """
    loop = asyncio.get_running_loop()
    handled = []
    for name in names:
        if hasattr(signal, name):
            with suppress(NotImplementedError):  # Windows has no such handlers
                loop.add_signal_handler(getattr(signal, name), stop)
                handled.append(getattr(signal, name))
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
