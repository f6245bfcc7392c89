"""Keeps one stage working: an engine that crashed or hangs is replaced by a fresh one.

A thread cannot be killed. So a hung engine is left behind with its thread, and a fresh one is
built on another. Meanwhile whoever asks waits a little. What was asked is asked again of the fresh
engine if nothing of the answer has been handed on, so that a failure need not cost a turn.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from voicebot.errors import EngineError, EngineStuckError, as_expected
from voicebot.supervision.facts import NewProcessWanted, StageReplaced
from voicebot.supervision.lively_timeout import lively_timeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from voicebot.supervision.facts import SupervisionFact
    from voicebot.supervision.patience import Patience
    from voicebot.supervision.restart_policy import RestartPolicy

__all__ = ["EngineInstance", "StageSupervisor"]

StageT = TypeVar("StageT")
ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_WAIT_FOR_FRESH_S = 5.0
_BUILD_TIMEOUT_S = 300.0
_TRIES_MAX = 4

_log = logging.getLogger("voicebot.supervision")


@dataclass(frozen=True, slots=True, eq=False)
class EngineInstance(Generic[StageT]):
    """A stage with an engine of its own behind it.

    Attributes:
        stage: drives the engine.
        abandon: leaves engine and thread behind; never waits.
        is_hung: whether the thread is still there; asked once it was abandoned.
        close: ends the engine in good order.
    """

    stage: StageT
    abandon: Callable[[], None]
    is_hung: Callable[[], bool]
    close: Callable[[], Awaitable[None]]


class StageSupervisor(Generic[StageT]):
    """One stage, whatever engine serves it at present.

    Args:
        name: the stage's name, for error lines and facts.
        first: the engine to begin with.
        build: builds a fresh one.
        policy: when to replace.
        patience: how long a step may take.
        notify: takes facts, on the loop; must not block.
        keeps_spare: hold a fresh engine ready, so that replacing takes no building.
    """

    def __init__(
        self,
        name: str,
        first: EngineInstance[StageT],
        build: Callable[[], Awaitable[EngineInstance[StageT]]],
        *,
        policy: RestartPolicy,
        patience: Patience,
        notify: Callable[[SupervisionFact], None],
        keeps_spare: bool = False,
    ) -> None:
        self._name = name
        self._instance = first
        self._build = build
        self._policy = policy
        self._patience = patience
        self._notify = notify
        self._keeps_spare = keeps_spare
        self._spare: asyncio.Task[EngineInstance[StageT]] | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._has_given_up = False
        self._is_gone = False  # the present engine was left behind
        self._abandoned: list[EngineInstance[StageT]] = []
        self.replaced = 0
        if keeps_spare:
            self._make_spare()

    @property
    def current(self) -> StageT:
        """The stage with the present engine; it may be one that has just failed."""
        return self._instance.stage

    @property
    def is_replacing(self) -> bool:
        """Whether a fresh engine is on its way."""
        return self._replacing is not None

    @property
    def hung_threads(self) -> int:
        """Threads that were left behind and are still there."""
        self._abandoned = [one for one in self._abandoned if one.is_hung()]
        return len(self._abandoned)

    async def call(
        self, work: Callable[[StageT], Awaitable[ResultT]], *, tries: int = _TRIES_MAX
    ) -> ResultT:
        """Let the stage do ``work``; again, maybe by a fresh engine, if it fails.

        Raises:
            EngineError: it failed so many times, or a fresh engine is not there in time.
            VoicebotError: what a fresh engine would not help against.
        """
        left = tries
        while True:
            instance = await self._ready(waits=tries > 1)
            try:
                result = await self._step(work(instance.stage), is_first=True)
            except EngineError as error:
                left -= 1
                if not self._take_failure(instance, error) or left <= 0:
                    raise
            else:
                self._policy.succeeded()
                return result

    async def stream(
        self,
        make: Callable[[StageT], AsyncGenerator[ItemT, None]],
        *,
        is_prelude: Callable[[ItemT], bool] = lambda _: False,
    ) -> AsyncGenerator[ItemT, None]:
        """The items of ``make(stage)``; begun again if it fails before the first of them.

        Args:
            make: begins.
            is_prelude: items that come before those that count; handed on once.

        Raises:
            EngineError: it failed in the middle, or too often at the start.
            VoicebotError: what a fresh engine would not help against.
        """
        left = _TRIES_MAX
        has_begun = has_prelude = False
        while True:
            instance = await self._ready(waits=True)
            try:
                async with aclosing(make(instance.stage)) as items:
                    is_first = True
                    while True:
                        try:
                            item = await self._step(anext(items), is_first=is_first)
                        except StopAsyncIteration:
                            self._policy.succeeded()
                            return
                        is_first = False
                        if is_prelude(item):
                            if has_prelude:
                                continue
                            has_prelude = True
                        else:
                            has_begun = True
                        yield item
            except EngineError as error:
                left -= 1
                if not self._take_failure(instance, error) or has_begun or left <= 0:
                    raise

    async def close(self) -> None:
        """End the engine, the spare, and whatever is being built."""
        for task in (self._replacing, self._spare):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        spare = self._spare
        if spare is not None and not spare.cancelled() and spare.exception() is None:
            await spare.result().close()
        if not self._is_gone:
            await self._instance.close()

    async def _step(self, work: Awaitable[ResultT], *, is_first: bool) -> ResultT:
        loop = asyncio.get_running_loop()
        began_s, limit_s = loop.time(), self._patience.limit_s
        try:
            async with lively_timeout(limit_s) as limit:
                result = await work
        except TimeoutError as error:
            if not limit.expired():
                raise as_expected(error, f"the {self._name} stage") from error
            raise EngineStuckError(
                f"the {self._name} stage gave no sign of life for {limit_s:.1f} s"
            ) from None
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise as_expected(error, f"the {self._name} stage") from error
        if is_first:  # the next tokens of a reply say nothing of how long reading the prompt takes
            self._patience.note(loop.time() - began_s)
        return result

    async def _ready(self, *, waits: bool) -> EngineInstance[StageT]:
        if self._replacing is not None:
            if waits:
                # The replacing goes on, whoever stops waiting for it.
                await asyncio.wait({self._replacing}, timeout=_WAIT_FOR_FRESH_S)
            if self._replacing is not None:
                raise EngineError(f"the {self._name} stage is being replaced", "try again soon")
        if self._is_gone:
            raise EngineError(f"the {self._name} stage cannot be helped", "start voicebot again")
        return self._instance

    def _take_failure(self, instance: EngineInstance[StageT], error: EngineError) -> bool:
        """Replace the engine if it must be; says whether asking again makes sense."""
        if instance is not self._instance or self._replacing is not None:
            return True  # that engine is gone already
        if self._has_given_up:
            return False
        if self._policy.failed(is_stuck=isinstance(error, EngineStuckError)):
            return self._begin_replacing(instance, str(error))
        return True

    def _begin_replacing(self, instance: EngineInstance[StageT], reason: str) -> bool:
        why_not = self._policy.why_not(self._now(), self.hung_threads + 1)
        if why_not:
            self._give_up(f"{why_not} ({reason})")
            return False
        instance.abandon()
        self._is_gone = True
        self._abandoned.append(instance)
        wait_s = self._policy.begin(self._now())
        self._replacing = asyncio.create_task(self._replace(reason, self._now(), wait_s))
        return True

    def _give_up(self, why: str) -> None:
        self._has_given_up = True
        self._notify(NewProcessWanted(f"the {self._name} stage cannot be helped: {why}"))

    async def _replace(self, reason: str, since_s: float, wait_s: float) -> None:
        try:
            while True:
                await asyncio.sleep(wait_s)
                try:
                    fresh = await self._fresh()
                except Exception as error:  # noqa: BLE001 - whatever it is, the next may work
                    line = str(as_expected(error, f"a fresh {self._name} engine"))
                    _log.warning("%s", line)
                    if why_not := self._policy.why_not(self._now(), self.hung_threads):
                        self._give_up(f"{why_not} ({line})")
                        return
                    wait_s = max(0.5, self._policy.begin(self._now()))
                    continue
                break
            self._instance, self._is_gone = fresh, False
            self._patience.forget()
            self.replaced += 1
            self._notify(
                StageReplaced(self._name, reason, self._now() - since_s, self.hung_threads)
            )
        finally:
            self._replacing = None
        if self._keeps_spare:
            self._make_spare()

    async def _fresh(self) -> EngineInstance[StageT]:
        spare, self._spare = self._spare, None
        if spare is not None:
            with suppress(Exception):  # then one is built here, and its failure counts
                return await spare
        async with asyncio.timeout(_BUILD_TIMEOUT_S):
            return await self._build()

    def _make_spare(self) -> None:
        async def build() -> EngineInstance[StageT]:
            return await self._build()

        self._spare = asyncio.create_task(build())
        self._spare.add_done_callback(_take_note)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _take_note(task: asyncio.Task[object]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("no spare engine: %s", error)
