"""Plays callers on several lines at the same time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.alternation import Player
    from voicebot.bench.callers import Caller

__all__ = ["Traffic", "arrival_instants_s", "play_at_once"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """How callers come.

    Attributes:
        at_once: how many are on the line at the same time, each with models of its own.
        arrivals_per_minute: when they call, see ``arrival_instants_s``; None is one after the
            other on each line.
    """

    at_once: int = 1
    arrivals_per_minute: float | None = None

    @property
    def is_one_after_the_other(self) -> bool:
        """Whether each caller is played as soon as the one before is done."""
        return self.at_once == 1 and self.arrivals_per_minute is None


def arrival_instants_s(count: int, per_minute: float | None, seed: int) -> tuple[float, ...]:
    """When callers call, in seconds from the beginning, at random as a Poisson process does.

    Args:
        count: how many callers.
        per_minute: how many call a minute on average; None lets everybody wait from the beginning.
        seed: decides the instants.
    """
    if per_minute is None:
        return (0.0,) * count
    chance = random.Random(seed)  # noqa: S311 - instants, not secrets
    at_s, instants = 0.0, []
    for _ in range(count):
        instants.append(at_s)
        at_s += chance.expovariate(per_minute / 60.0)
    return tuple(instants)


async def play_at_once(
    callers: Sequence[Caller], lines: Sequence[Player], *, arrivals_s: Sequence[float]
) -> None:
    """Play each caller on the first free line, no earlier than it calls.

    Args:
        callers: who calls, in the order of their arrival.
        lines: each with models of its own.
        arrivals_s: when each caller calls, in seconds from now; one who finds no free line waits,
            and its turns say for how long.

    Raises:
        AudioFileError: a clip cannot be read.
        EngineError: voice activity failed for good.
    """
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    free: asyncio.Queue[Player] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)

    async def call(caller: Caller, line: Player, waited_s: float) -> None:
        try:
            await line.runner.play(caller, line.measured, queue_wait_s=waited_s)
        finally:
            free.put_nowait(line)

    async with asyncio.TaskGroup() as calls:
        for caller, arrival_s in zip(callers, arrivals_s, strict=True):
            arrives_s = begun_s + arrival_s
            await asyncio.sleep(max(0.0, arrives_s - loop.time()))
            line = await free.get()
            calls.create_task(call(caller, line, max(0.0, loop.time() - arrives_s)))
    for line in lines:
        line.measured.is_complete = True
