"""The bridge between blocking engines and the event loop, with real threads."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.engines.protocols import Transcript
from voicebot.errors import EngineError, EngineStuckError, ModelMissingError
from voicebot.stages import ThreadedAsr
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Engine:
    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.log: list[str] = []
        self.made = 0
        self.ended_early = False

    def whoami(self) -> int:
        return threading.get_ident()

    def count(self, stop: threading.Event, limit: int = 1000) -> Iterator[int]:
        for number in range(limit):
            if stop.is_set():
                self.ended_early = True
                return
            self.made += 1
            yield number


@asynccontextmanager
async def loaded(timeout_s: float = 5.0) -> AsyncIterator[Worker[Engine]]:
    worker: Worker[Engine] = Worker("test", timeout_s=timeout_s)
    await worker.load(Engine)
    try:
        yield worker
    finally:
        await worker.close(lambda engine: engine.log.append("closed"))


async def settled(worker: Worker[Any]) -> None:
    """Wait until the thread has done all that was queued, without asking for its errors."""
    done = threading.Event()
    worker._jobs.put(done.set)
    assert await asyncio.to_thread(done.wait, 5)


def test_everything_happens_on_one_other_thread() -> None:
    async def main() -> None:
        async with loaded() as worker:
            thread = await worker.call(lambda engine: engine.whoami())
            assert thread == worker.engine.thread
            assert thread != threading.get_ident()

    asyncio.run(main())


def test_posted_work_is_done_in_order_before_a_later_call() -> None:
    async def main() -> list[str]:
        async with loaded() as worker:
            for name in "abc":
                worker.post(lambda engine, name=name: engine.log.append(name))  # type: ignore[misc]
            return await worker.call(lambda engine: list(engine.log))

    assert asyncio.run(main()) == ["a", "b", "c"]


def test_a_stream_gives_every_item() -> None:
    async def main() -> list[int]:
        async with loaded() as worker:
            stream = worker.stream(lambda engine, stop: engine.count(stop, 50), ahead=4)
            return [item async for item in stream]

    assert asyncio.run(main()) == list(range(50))


def test_a_stream_never_runs_far_ahead_of_its_reader() -> None:
    async def main() -> None:
        async with (
            loaded() as worker,
            aclosing(worker.stream(lambda engine, stop: engine.count(stop), ahead=4)) as stream,
        ):
            await anext(stream)
            await asyncio.sleep(0.2)
            assert worker.engine.made <= 6

    asyncio.run(main())


def test_closing_a_stream_stops_the_engine_and_frees_the_thread() -> None:
    async def main() -> None:
        async with loaded() as worker:
            stream = worker.stream(lambda engine, stop: engine.count(stop), ahead=2)
            async with aclosing(stream):
                await anext(stream)
            made = await worker.call(lambda engine: engine.made)
            await asyncio.sleep(0.1)
            assert worker.engine.made == made < 10

    asyncio.run(main())


def test_cancelling_the_reader_stops_the_engine() -> None:
    async def main() -> None:
        async with loaded() as worker:

            async def read() -> None:
                async with aclosing(
                    worker.stream(lambda engine, stop: engine.count(stop), ahead=2)
                ) as stream:
                    async for _ in stream:
                        await asyncio.sleep(0.01)

            reader = asyncio.create_task(read())
            await asyncio.sleep(0.05)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            assert await worker.call(lambda engine: engine.made) < 20

    asyncio.run(main())


def test_an_exception_crosses_the_bridge_as_an_engine_error() -> None:
    def broken(_: Engine) -> None:
        raise RuntimeError("out of wit")

    async def main() -> None:
        async with loaded() as worker:
            with pytest.raises(EngineError, match=r"test stage failed .*out of wit"):
                await worker.call(broken)
            assert await worker.call(lambda engine: engine.made) == 0

    asyncio.run(main())


def test_an_exception_in_a_stream_comes_after_its_items() -> None:
    def broken(engine: Engine, stop: threading.Event) -> Iterator[int]:
        yield from engine.count(stop, 2)
        raise RuntimeError("out of wit")

    async def main() -> None:
        async with loaded() as worker:
            stream = worker.stream(broken, ahead=8)
            assert [await anext(stream), await anext(stream)] == [0, 1]
            with pytest.raises(EngineError, match="out of wit"):
                await anext(stream)

    asyncio.run(main())


def test_a_failed_post_is_told_by_the_next_call() -> None:
    def broken(_: Engine) -> None:
        raise RuntimeError("out of wit")

    async def main() -> None:
        async with loaded() as worker:
            worker.post(broken)
            await asyncio.sleep(0.05)
            with pytest.raises(EngineError, match="out of wit"):
                await worker.call(lambda engine: engine.made)
            assert await worker.call(lambda engine: engine.made) == 0

    asyncio.run(main())


def test_errors_of_the_tree_keep_their_kind() -> None:
    def missing() -> Engine:
        raise ModelMissingError("no model", "pull it")

    async def main() -> None:
        worker: Worker[Engine] = Worker("test", timeout_s=1)
        with pytest.raises(ModelMissingError, match="no model: pull it"):
            await worker.load(missing)
        with pytest.raises(EngineError, match="not loaded"):
            await worker.call(lambda engine: engine.made)
        await worker.close(lambda engine: None)

    asyncio.run(main())


def test_a_hanging_engine_fails_at_once_until_it_comes_back() -> None:
    hold = threading.Event()

    async def main() -> None:
        async with loaded(timeout_s=0.1) as worker:
            with pytest.raises(EngineStuckError, match="no sign of life"):
                await worker.call(lambda engine: hold.wait())
            before_s = time.monotonic()
            with pytest.raises(EngineStuckError):
                await worker.call(lambda engine: engine.made)
            assert time.monotonic() - before_s < 0.1
            hold.set()
            while True:
                try:
                    assert await worker.call(lambda engine: engine.made) == 0
                except EngineStuckError:
                    await asyncio.sleep(0.01)
                else:
                    break

    asyncio.run(main())


def test_a_hanging_stream_is_stuck_too() -> None:
    hold = threading.Event()

    def hanging(engine: Engine, stop: threading.Event) -> Iterator[int]:
        yield 1
        hold.wait()
        yield 2

    async def main() -> None:
        async with loaded(timeout_s=0.1) as worker:
            stream = worker.stream(hanging, ahead=4)
            assert await anext(stream) == 1
            with pytest.raises(EngineStuckError):
                await anext(stream)
            hold.set()

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(6))
def test_a_cancellation_that_meets_the_result_of_a_call_is_not_lost(steps: int) -> None:
    """The result is in the loop's inbox when the cancellation comes, a few steps later."""
    go_on, handed_over = threading.Event(), threading.Event()

    async def main() -> None:
        async with loaded() as worker:

            async def caller() -> None:
                await worker.call(lambda engine: go_on.wait(5))
                await asyncio.sleep(60)

            running = asyncio.create_task(caller())
            await asyncio.sleep(0.01)
            worker.post(lambda engine: handed_over.set())
            go_on.set()
            assert handed_over.wait(5)
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running}, timeout=0.5)
            assert running.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(6))
def test_a_cancellation_that_meets_an_item_of_a_stream_is_not_lost(steps: int) -> None:
    go_on, handed_over = threading.Event(), threading.Event()
    stopped = threading.Event()

    def generate(engine: Engine, stop: threading.Event) -> Iterator[int]:
        go_on.wait(5)
        yield 1
        handed_over.set()
        stop.wait(5)
        if stop.is_set():
            stopped.set()

    async def main() -> None:
        async with loaded() as worker:

            async def reader() -> None:
                async with aclosing(worker.stream(generate, ahead=4)) as stream:
                    async for _ in stream:
                        pass

            running = asyncio.create_task(reader())
            await asyncio.sleep(0.01)
            go_on.set()
            assert handed_over.wait(5)
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running}, timeout=0.5)
            assert running.cancelled()
            assert await asyncio.to_thread(stopped.wait, 5)

    asyncio.run(main())


def test_a_fresh_start_makes_up_for_what_failed_before() -> None:
    def broken(_: Engine) -> None:
        raise RuntimeError("out of wit")

    async def main() -> None:
        async with loaded() as worker:
            worker.post(broken)
            worker.post(lambda engine: engine.log.append("start"), afresh=True)
            await settled(worker)
            assert await worker.call(lambda engine: list(engine.log)) == ["start"]
            worker.post(broken)
            worker.post(lambda engine: engine.log.append("feed"))
            await settled(worker)
            with pytest.raises(EngineError, match="out of wit"):
                await worker.call(lambda engine: engine.made)

    asyncio.run(main())


def test_a_fresh_start_that_fails_itself_is_told() -> None:
    def broken(_: Engine) -> None:
        raise RuntimeError("no start")

    async def main() -> None:
        async with loaded() as worker:
            worker.post(broken, afresh=True)
            await settled(worker)
            with pytest.raises(EngineError, match="no start"):
                await worker.call(lambda engine: engine.made)

    asyncio.run(main())


def test_recognition_that_failed_in_a_dismissed_turn_does_not_spoil_the_next() -> None:
    class Asr:
        def __init__(self) -> None:
            self.turn = 0

        def start(self) -> None:
            self.turn += 1

        def feed(self, samples: object) -> Transcript | None:
            if self.turn == 1:
                raise EngineError("decoder process ended")
            return None

        def finish(self) -> Transcript:
            return Transcript("fine", final=True)

        def close(self) -> None:
            pass

    async def main() -> Transcript:
        worker: Worker[Asr] = Worker("recognition", timeout_s=2)
        await worker.load(Asr)
        stage = ThreadedAsr(worker, to_loop=asyncio.get_running_loop().call_soon_threadsafe)
        try:
            for _ in range(2):  # nobody asks for the first turn's transcript
                stage.start(lambda _: None)
                stage.feed(np.zeros(160, dtype=np.float32))
                await settled(worker)
            return await stage.finish()
        finally:
            await worker.close(lambda asr: asr.close())

    assert asyncio.run(main()).text == "fine"


def test_nothing_is_queued_for_a_stuck_engine() -> None:
    hold = threading.Event()

    async def main() -> list[str]:
        async with loaded(timeout_s=0.1) as worker:
            with pytest.raises(EngineStuckError):
                await worker.call(lambda engine: hold.wait())
            for _ in range(3):
                worker.post(lambda engine: engine.log.append("too late"))
            hold.set()
            await settled(worker)
            worker.post(lambda engine: engine.log.append("in time"))
            return await worker.call(lambda engine: list(engine.log))

    assert asyncio.run(main()) == ["in time"]
