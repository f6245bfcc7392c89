"""Work is charged to whoever asked for it, and to nobody else."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from voicebot.work_account import WorkAccount, charged_to, current_account
from voicebot.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

WORK_S = 0.02


class Busy:
    def work(self) -> None:
        until_s = time.thread_time() + WORK_S
        while time.thread_time() < until_s:
            pass

    def steps(self, stop: threading.Event) -> Iterator[int]:
        for number in range(3):
            if stop.is_set():
                return
            self.work()
            yield number


def test_calls_and_streams_are_charged_to_the_account_they_were_asked_under() -> None:
    called, streamed = WorkAccount(), WorkAccount()

    async def main() -> None:
        worker: Worker[Busy] = Worker("test", timeout_s=5.0)
        await worker.load(Busy)
        with charged_to(called):
            await worker.call(Busy.work)
        with charged_to(streamed):
            async with asyncio.TaskGroup() as tasks:  # what a task asks for counts as well
                tasks.create_task(read(worker))
        await worker.call(Busy.work)
        await worker.close(lambda _: None)

    async def read(worker: Worker[Busy]) -> None:
        async with aclosing(worker.stream(Busy.steps, ahead=8)) as items:
            assert [item async for item in items] == [0, 1, 2]

    asyncio.run(main())
    assert called.thread_s >= WORK_S
    assert streamed.thread_s >= 3 * WORK_S
    assert called.thread_s < streamed.thread_s
    assert current_account() is None


def test_waiting_is_not_charged() -> None:
    account = WorkAccount()

    async def main() -> None:
        worker: Worker[Busy] = Worker("test", timeout_s=5.0)
        await worker.load(Busy)
        with charged_to(account):
            await worker.call(lambda _: time.sleep(0.2))
        await worker.close(lambda _: None)

    asyncio.run(main())
    assert account.thread_s < 0.1
