"""Forgets a conversation when nobody has spoken for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicebot.supervision.facts import ConversationForgotten

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["ConversationKeeper"]


class ConversationKeeper:
    """Watches one session's facts; the next visitor finds nothing of the last one's words.

    Args:
        history: what was said.
        forget_after_s: so long without a fact of the conversation.
        is_idle: whether no turn is open and nothing is being said; the session's ``is_idle``.
        notify: takes the fact that it was forgotten, for the page to show.
    """

    def __init__(
        self,
        history: History,
        *,
        forget_after_s: float,
        is_idle: Callable[[], bool],
        notify: Callable[[SupervisionFact], None],
    ) -> None:
        self._history = history
        self._forget_after_s = forget_after_s
        self._is_idle = is_idle
        self._notify = notify
        self._last_s = float("-inf")

    def observe(self, event: Event) -> None:
        """Somebody is there."""
        del event
        self._last_s = asyncio.get_running_loop().time()

    def forget(self) -> None:
        """Forget now."""
        exchanges = len(self._history.exchanges)
        idle_s = asyncio.get_running_loop().time() - self._last_s
        self._history.forget()
        if exchanges:
            self._notify(ConversationForgotten(exchanges, idle_s))

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        self._last_s = loop.time()
        while True:
            left_s = self._last_s + self._forget_after_s - loop.time()
            if left_s > 0.0:
                await asyncio.sleep(left_s)
            elif not self._is_idle():
                await asyncio.sleep(min(1.0, self._forget_after_s))  # a long answer still sounds
            else:
                self.forget()
                self._last_s = loop.time()
