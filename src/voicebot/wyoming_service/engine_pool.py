"""Engines for clients to share: each is lent to one at a time, in the order of asking."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["EnginePool"]


class _Closable(Protocol):
    def close(self) -> None: ...


EngineT = TypeVar("EngineT", bound=_Closable)


class EnginePool(Generic[EngineT]):
    """A few engines of one kind, each on a thread of its own.

    Args:
        name: the stage's name, as it stands in error lines.
        factory: builds one engine.
        count: how many.
        stage_timeout_s: how long one may give no sign of life.
    """

    def __init__(
        self, name: str, factory: Callable[[], EngineT], count: int, *, stage_timeout_s: float
    ) -> None:
        self._factory = factory
        self._workers = [Worker[EngineT](name, timeout_s=stage_timeout_s) for _ in range(count)]
        self._free: asyncio.Queue[Worker[EngineT]] = asyncio.Queue()

    async def load(self) -> EngineT:
        """Build all of them; gives one, to be asked for what never changes.

        Raises:
            VoicebotError: one cannot be built.
        """
        for worker in self._workers:
            await worker.load(self._factory)
            self._free.put_nowait(worker)
        return self._workers[0].engine

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Worker[EngineT]]:
        """An engine's worker, as soon as one is free."""
        worker = await self._free.get()
        try:
            yield worker
        finally:
            self._free.put_nowait(worker)

    async def close(self) -> None:
        """Close all engines."""
        await asyncio.gather(
            *(worker.close(lambda engine: engine.close()) for worker in self._workers)
        )
