"""Whom the processor time of an engine's thread is charged to.

Whoever wants to know what a piece of work costs opens an account around asking for it; the workers
charge it for what their threads do on its behalf, in whatever task the asking went on.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WorkAccount", "charged_to", "current_account"]

_current: ContextVar[WorkAccount | None] = ContextVar("work_account", default=None)


class WorkAccount:
    """Processor time, added up from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread_s = 0.0

    @property
    def thread_s(self) -> float:
        """Seconds that the engines' own threads have spent; work under way counts step by step.

        What an engine does on further threads, or in a process of its own, is not in it.
        """
        with self._lock:
            return self._thread_s

    def charge(self, thread_s: float) -> None:
        """Add ``thread_s`` seconds."""
        with self._lock:
            self._thread_s += thread_s


@contextmanager
def charged_to(account: WorkAccount) -> Iterator[None]:
    """Work that is asked for in this context, tasks begun in it included, goes to ``account``."""
    token = _current.set(account)
    try:
        yield
    finally:
        _current.reset(token)


def current_account() -> WorkAccount | None:
    """The account of the context at hand, if any."""
    return _current.get()
