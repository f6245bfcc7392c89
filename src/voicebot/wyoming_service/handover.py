"""From a client's connection to the task that works for it, with a bound on what lies between."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Handover"]

ItemT = TypeVar("ItemT")


class Handover(Generic[ItemT]):
    """A bounded queue whose reader may leave early without stranding the writer.

    Args:
        ahead: how many items may wait; then the writer does.
    """

    def __init__(self, ahead: int) -> None:
        self._items: asyncio.Queue[ItemT | None] = asyncio.Queue(ahead)
        self._is_left = False

    async def put(self, item: ItemT) -> None:
        """Hand an item over; it is lost if the reader has left."""
        if not self._is_left:
            await self._items.put(item)

    async def end(self) -> None:
        """There are no more items."""
        if not self._is_left:
            await self._items.put(None)

    async def items(self) -> AsyncGenerator[ItemT, None]:
        """All items up to the end."""
        try:
            while (item := await self._items.get()) is not None:
                yield item
        finally:
            self.leave()

    def leave(self) -> None:
        """Nothing is wanted any more."""
        self._is_left = True
        with suppress(asyncio.QueueEmpty):
            while True:
                self._items.get_nowait()
