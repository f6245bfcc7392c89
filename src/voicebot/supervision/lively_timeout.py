"""A time limit that does not blame a stage for an event loop that stood still."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["lively_timeout"]

_SLICES = 5


@asynccontextmanager
async def lively_timeout(limit_s: float) -> AsyncIterator[asyncio.Timeout]:
    """As ``asyncio.timeout``, but a pause of the whole loop counts for a fifth of it at most.

    Where something holds Python's interpreter lock for two seconds, as importing a large library
    may, an answer that is there cannot be read. Who waits for it must not call its sender stuck.

    Raises:
        TimeoutError: the limit has passed.
    """
    async with asyncio.timeout(None) as limit:
        counting = asyncio.create_task(_count_down(limit, limit_s))
        try:
            yield limit
        finally:
            counting.cancel()


async def _count_down(limit: asyncio.Timeout, limit_s: float) -> None:
    for _ in range(_SLICES):
        await asyncio.sleep(limit_s / _SLICES)
    # What is ready by now still comes first.
    limit.reschedule(asyncio.get_running_loop().time())
