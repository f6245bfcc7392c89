"""An event loop that runs on an engine's own thread, and only while the engine is called.

Clients of servers are blocking objects to the rest of the program, as every engine is, and yet must
let go of a connection as soon as they are told to stop. A loop of their own gives them that without
a further thread: what waits for a server is a task, and a task can be cancelled.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterator
    from typing import Any

    from voicebot.engines.protocols import StopFlag

__all__ = ["PrivateLoop"]

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_LOOK_S = 0.02
"""How often the stop flag is looked at while a server is waited for."""

_STEPS_OF_A_READ = 4
"""Turns of the loop that bytes need from the socket to whoever awaits an event of theirs."""


class _Over:
    """Stands for the end of a stream, or for work that was stopped."""


_OVER: Final = _Over()


class PrivateLoop:
    """Drives coroutines from blocking code; to be used, and closed, from one thread only."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run ``work`` to its end; what it raises is raised."""
        return self._loop.run_until_complete(work)

    def run_unless(self, work: Coroutine[Any, Any, ResultT], stop: StopFlag) -> ResultT | None:
        """Run ``work`` to its end; None if ``stop`` was set before, and it was cancelled."""
        result = self._loop.run_until_complete(_unless(work, stop))
        return None if isinstance(result, _Over) else result

    def iterate(self, items: AsyncGenerator[ItemT, None], stop: StopFlag) -> Iterator[ItemT]:
        """Each of ``items``, which are closed as soon as ``stop`` is set or nobody asks on."""
        try:
            while not stop.is_set():
                item = self._loop.run_until_complete(_unless(_next(items), stop))
                if isinstance(item, _Over):
                    return
                yield item
        finally:
            self._loop.run_until_complete(items.aclose())
            self.catch_up()  # a socket that was closed is let go of a turn of the loop later

    def catch_up(self) -> None:
        """Let tasks in the background take in what has arrived; waits for nothing."""
        for _ in range(_STEPS_OF_A_READ):
            self._loop.run_until_complete(asyncio.sleep(0))

    def start(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        """A task in the background; it gets on while anything else is run."""
        return self._loop.create_task(work)

    def close(self) -> None:
        """Cancel what is left and free the loop."""
        if self._loop.is_closed():
            return
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


async def _next(items: AsyncGenerator[ItemT, None]) -> ItemT | _Over:
    return await anext(items, _OVER)


async def _unless(work: Coroutine[Any, Any, ResultT], stop: StopFlag) -> ResultT | _Over:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_S)
            if stop.is_set() and not task.done():
                return _OVER
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # of something that is wanted no more
