"""The one bridge between blocking engines and the event loop.

An engine lives on one thread of its own. ``call`` runs one blocking function there and awaits its
result; ``post`` queues one whose result nobody needs; ``stream`` turns a blocking generator into
an async iterator through a bounded queue. Work is done in the order in which it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from voicebot.errors import EngineError, EngineStuckError, VoicebotError, as_expected
from voicebot.work_account import WorkAccount, current_account

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

__all__ = ["Worker"]

EngineT = TypeVar("EngineT")
ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_JOIN_TIMEOUT_S = 2.0
_SLOT_POLL_S = 0.05


class _End:
    """Marks the end of a stream in its queue; carries the exception that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Meter:
    """Charges what this thread has worked since it was made, or since it last charged."""

    def __init__(self, account: WorkAccount | None) -> None:
        self._account = account
        self._since_s = time.thread_time()

    def charge(self) -> None:
        now_s = time.thread_time()
        if self._account is not None:
            self._account.charge(now_s - self._since_s)
        self._since_s = now_s


class _Relay(Generic[ItemT]):
    """Carries a generator's items from the engine's thread to one reader on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ahead: int) -> None:
        self._loop = loop
        self.items: asyncio.Queue[ItemT | _End] = asyncio.Queue()
        self.slots = threading.Semaphore(ahead)
        self.stop = threading.Event()
        self.done = threading.Event()
        self._account = current_account()

    def carry(self, make: Callable[[], Iterator[ItemT]]) -> None:
        """Run the generator to its end or until ``stop``; on the engine's thread."""
        error: BaseException | None = None
        meter = _Meter(self._account)
        try:
            if not self.stop.is_set():
                for item in make():
                    meter.charge()
                    self._hand_over(item)
                    if not self._wait_for_slot():
                        break
        except BaseException as raised:  # noqa: BLE001  # crosses to the reader
            error = raised
        meter.charge()
        self.done.set()
        self._hand_over(_End(error))

    def _wait_for_slot(self) -> bool:
        while not self.slots.acquire(timeout=_SLOT_POLL_S):
            if self.stop.is_set():
                return False
        return not self.stop.is_set()

    def _hand_over(self, item: ItemT | _End) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody reads any more
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)


class Worker(Generic[EngineT]):
    """One thread that owns one engine.

    Args:
        name: the stage's name, as it stands in thread lists and error lines.
        timeout_s: how long a call, or the next item of a stream, may take before the stage counts
            as stuck. The thread cannot be killed: until it comes back, every call fails at once.
    """

    def __init__(self, name: str, *, timeout_s: float) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._engine: EngineT | None = None
        self._overdue: threading.Event | None = None
        self._posted_error: BaseException | None = None
        self._is_abandoned = False
        self._last_job: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._work, name=f"voicebot-{name}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._is_abandoned:
                job()
        self._last_job()

    async def load(self, factory: Callable[[], EngineT]) -> None:
        """Build the engine on the thread that will drive it.

        No time limit: loading may download or convert nothing, but a cold disk is slow.

        Raises:
            VoicebotError: whatever ``factory`` raises of the error tree.
            EngineError: any other exception, with its text.
        """

        def build() -> None:
            self._engine = factory()

        await self._submit(build, timeout_s=None)

    @property
    def engine(self) -> EngineT:
        """The loaded engine, to be touched on its own thread only.

        Raises:
            EngineError: it was never loaded.
        """
        if self._engine is None:
            raise EngineError(f"the {self.name} stage is not loaded")
        return self._engine

    async def call(self, function: Callable[[EngineT], ResultT]) -> ResultT:
        """Run ``function(engine)`` on the engine's thread and await its result.

        Raises:
            EngineStuckError: no result within the worker's time.
            EngineError: what the engine raised, now or in an earlier ``post``.
        """
        account = current_account()

        def work() -> ResultT:
            self._raise_posted_error()
            meter = _Meter(account)
            try:
                return function(self.engine)
            finally:
                meter.charge()

        return await self._submit(work, timeout_s=self._timeout_s)

    def post(self, function: Callable[[EngineT], object], *, afresh: bool = False) -> None:
        """Queue ``function(engine)`` and return at once.

        An exception is kept and raised by the next ``call`` or ``stream``, so that nothing is lost.
        While the stage is stuck nothing is queued: there is nobody to do it, and it would pile up.

        Args:
            function: the work.
            afresh: its success makes up for what failed before.
        """
        if self._is_abandoned or (self._overdue is not None and not self._overdue.is_set()):
            return

        def job() -> None:
            try:
                function(self.engine)
                if afresh:
                    self._posted_error = None
            except BaseException as error:  # noqa: BLE001  # crosses to the loop in the next call
                self._posted_error = self._posted_error or error  # the first is the cause

        self._jobs.put(job)

    async def stream(
        self, function: Callable[[EngineT, threading.Event], Iterator[ItemT]], *, ahead: int
    ) -> AsyncGenerator[ItemT, None]:
        """Iterate over ``function(engine, stop)`` on the engine's thread.

        The generator runs at most ``ahead`` items in front of its reader. Closing this iterator,
        or cancelling its reader, sets ``stop``; the thread ends the generator at its next look.

        Raises:
            EngineStuckError: no further item within the worker's time.
            EngineError: what the engine raised, now or in an earlier ``post``.
        """
        self._raise_if_overdue()
        relay: _Relay[ItemT] = _Relay(asyncio.get_running_loop(), ahead)

        def make() -> Iterator[ItemT]:
            self._raise_posted_error()
            return function(self.engine, relay.stop)

        self._jobs.put(lambda: relay.carry(make))
        try:
            while True:
                try:
                    # Not wait_for, which may lose a cancellation that meets a result.
                    async with asyncio.timeout(self._timeout_s):
                        item = await relay.items.get()
                except TimeoutError:
                    self._overdue = relay.done
                    raise self._stuck() from None
                if isinstance(item, _End):
                    if item.error is not None:
                        raise self._as_engine_error(item.error) from item.error
                    return
                relay.slots.release()
                yield item
        finally:
            relay.stop.set()

    async def close(self, release: Callable[[EngineT], None]) -> None:
        """Run ``release(engine)`` on the thread, then end it; a stuck thread is left behind."""
        if self._engine is not None:
            self.post(release)
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _JOIN_TIMEOUT_S)

    def abandon(self, release: Callable[[EngineT], object]) -> None:
        """Leave the thread and its engine behind; never waits.

        What is queued is not done any more. If the thread comes back, it runs ``release(engine)``
        and ends; see ``is_alive``.
        """

        def leave() -> None:
            if self._engine is not None:
                with contextlib.suppress(Exception):  # nobody is there to be told
                    release(self._engine)

        self._is_abandoned = True
        self._last_job = leave
        self._jobs.put(None)

    @property
    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    async def _submit(self, function: Callable[[], ResultT], *, timeout_s: float | None) -> ResultT:
        self._raise_if_overdue()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResultT] = loop.create_future()
        done = threading.Event()

        def settle(result: ResultT | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(self._as_engine_error(error))
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only beside an error

        def job() -> None:
            result: ResultT | None = None
            error: BaseException | None = None
            try:
                if not future.cancelled():
                    result = function()
            except BaseException as raised:  # noqa: BLE001  # crosses to the caller
                error = raised
            done.set()
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        self._jobs.put(job)
        try:
            # Not wait_for, which may lose a cancellation that meets a result.
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self._overdue = done
            raise self._stuck() from None

    def _raise_posted_error(self) -> None:
        error, self._posted_error = self._posted_error, None
        if error is not None:
            raise self._as_engine_error(error) from error

    def _raise_if_overdue(self) -> None:
        if self._is_abandoned:
            raise self._stuck()
        if self._overdue is not None:
            if not self._overdue.is_set():
                raise self._stuck()
            self._overdue = None

    def _stuck(self) -> EngineStuckError:
        return EngineStuckError(
            f"the {self.name} stage gave no sign of life for {self._timeout_s:g} s",
            "if it happens again, restart voicebot and run 'voicebot doctor'",
        )

    def _as_engine_error(self, error: BaseException) -> VoicebotError:
        return as_expected(error, f"the {self.name} stage")
