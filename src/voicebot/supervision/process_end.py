"""Ends the process in good order where only a new one helps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicebot.errors import NewProcessWantedError
from voicebot.supervision.facts import NewProcessWanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.supervision.facts import SupervisionFact

__all__ = ["ProcessEnd"]

_LOOK_EVERY_S = 0.5


class ProcessEnd:
    """Waits for ``NewProcessWanted``, then for a moment in which nobody is talking.

    Args:
        is_idle: whether nobody is talking.
        patience_s: after so long the process ends though somebody is.
    """

    def __init__(self, *, is_idle: Callable[[], bool], patience_s: float = 60.0) -> None:
        self._is_idle = is_idle
        self._patience_s = patience_s
        self._wanted = asyncio.Event()
        self._reason = ""

    def observe(self, fact: SupervisionFact) -> None:
        """Take note of a fact; the first reason counts."""
        if isinstance(fact, NewProcessWanted) and not self._wanted.is_set():
            self._reason = fact.reason
            self._wanted.set()

    async def run(self) -> None:
        """Wait until it is time to go; a task beside the kiosk's others.

        Raises:
            NewProcessWantedError: now; its exit code tells a service manager to start anew.
        """
        await self._wanted.wait()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience_s
        while not self._is_idle() and loop.time() < until_s:  # noqa: ASYNC110 - a plain question
            await asyncio.sleep(_LOOK_EVERY_S)
        raise NewProcessWantedError(
            f"a new process is needed: {self._reason}", "a service manager starts it by itself"
        )
