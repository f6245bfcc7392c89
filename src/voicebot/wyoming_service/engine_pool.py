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
        self._free: list[Worker[EngineT]] = []
        # A queue would hand an engine back to whoever asks first after giving it back.
        self._turns = asyncio.Semaphore(count)

    async def load(self) -> EngineT:
        """Build all of them; gives one, to be asked for what never changes.

        Raises:
            VoicebotError: one cannot be built.
        """
        for worker in self._workers:
            await worker.load(self._factory)
            self._free.append(worker)
        return self._workers[0].engine

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Worker[EngineT]]:
        """An engine's worker, as soon as one is free."""
        async with self._turns:
            worker = self._free.pop(0)
            try:
                yield worker
            finally:
                self._free.append(worker)

    async def close(self) -> None:
        """Close all engines."""
        await asyncio.gather(
            *(worker.close(lambda engine: engine.close()) for worker in self._workers)
        )
