"""What engines tell of themselves while a conversation goes on: that another took their place.

Engines work on threads of their own and know nothing of sessions, so what they have to say goes
through here: from any thread in, on the event loop out.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from voicebot.events import StageFellBack, StageRecovered

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

__all__ = ["FallbackReports"]


class FallbackReports:
    """Keeps which stages have fallen back, and passes on what changes.

    Whoever begins to listen is first told what is in force.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_force: dict[str, StageFellBack] = {}
        self._tellers: list[Callable[[StageFellBack | StageRecovered], None]] = []

    def has_taken_over(self, stage: str) -> bool:
        """Whether the second engine of ``stage`` works at the moment."""
        with self._lock:
            return stage in self._in_force

    def report(self, event: StageFellBack | StageRecovered) -> None:
        """Take note of ``event`` and pass it on; to be called from any thread."""
        with self._lock:
            if isinstance(event, StageFellBack):
                self._in_force[event.stage] = event
            else:
                self._in_force.pop(event.stage, None)
            tellers = list(self._tellers)
        for tell in tellers:
            tell(event)

    @contextmanager
    def told_to(
        self,
        notify: Callable[[StageFellBack | StageRecovered], None],
        loop: asyncio.AbstractEventLoop,
    ) -> Iterator[None]:
        """Call ``notify`` on ``loop`` with all there is to tell, until the context is left."""

        def tell(event: StageFellBack | StageRecovered) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(tell_here, event)

        def tell_here(event: StageFellBack | StageRecovered) -> None:
            if tell in self._tellers:
                notify(event)

        with self._lock:
            before = list(self._in_force.values())
            self._tellers.append(tell)
        try:
            for event in before:
                notify(event)
            yield
        finally:
            with self._lock:
                self._tellers.remove(tell)
