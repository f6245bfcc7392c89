"""Real threads: an engine that hangs for good is left behind, and a fresh one serves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.cascade import EngineFactories
from voicebot.config import SupervisionSettings
from voicebot.engines.protocols import SpeechChunk, Transcript
from voicebot.errors import EngineError
from voicebot.supervision.facts import StageReplaced, SupervisionFact
from voicebot.supervision.running import running_supervised_stages
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voicebot.audio.samples import Samples

HALF_A_FRAME = np.zeros(512, dtype=np.float32)


class Engine:
    """Every engine in one: does as little as it can."""

    frame_samples = 512
    window_s = 8.0
    sample_rate_hz = 16_000

    def __init__(self) -> None:
        self.is_closed = False

    def probability(self, frame: Samples) -> float:
        return 0.25

    def completion(self, samples: Samples) -> float:
        return 0.5

    def reset(self) -> None: ...

    def start(self) -> None: ...

    def feed(self, samples: Samples) -> Transcript | None:
        return None

    def finish(self) -> Transcript:
        return Transcript("hello", final=True)

    def synthesise(self, text: str, stop: Any) -> Iterator[SpeechChunk]:
        yield SpeechChunk(HALF_A_FRAME)

    def close(self) -> None:
        self.is_closed = True


class HangingVoice(Engine):
    def __init__(self, freed: threading.Event) -> None:
        super().__init__()
        self._freed = freed

    def synthesise(self, text: str, stop: Any) -> Iterator[SpeechChunk]:
        self._freed.wait(10.0)
        yield from ()


def factories(tts: Callable[[], Any]) -> EngineFactories:
    return EngineFactories(vad=Engine, turn_detector=Engine, asr=Engine, llm=Engine, tts=tts)  # type: ignore[arg-type]


def test_a_thread_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    freed = threading.Event()
    voices: list[Engine] = [HangingVoice(freed), Engine()]
    made: list[Engine] = []
    facts: list[SupervisionFact] = []

    def voice() -> Engine:
        made.append(voices.pop(0))
        return made[-1]

    async def main() -> None:
        chosen = factories(voice)
        async with running_supervised_stages(
            chosen, SupervisionSettings(), stage_timeout_s=0.4, notify=facts.append
        ) as stages:
            assert stages.fallbacks is chosen.fallbacks
            assert await stages.vad.probability(HALF_A_FRAME) == 0.25
            assert await stages.turn_detector.completion(HALF_A_FRAME) == 0.5
            stages.asr.start(lambda _: None)
            stages.asr.feed(HALF_A_FRAME)
            assert (await stages.asr.finish()).text == "hello"
            assert len([chunk async for chunk in stages.tts.synthesise("a")]) == 1
        (fact,) = facts
        assert isinstance(fact, StageReplaced)
        assert (fact.stage, fact.hung_threads) == ("synthesis", 1)

    try:
        asyncio.run(main())
    finally:
        freed.set()
    for thread in threading.enumerate():
        if thread.name == "voicebot-synthesis":
            thread.join(5.0)
    # The one that hung came back: it was released, and its thread ended.
    assert [engine.is_closed for engine in made] == [True, True]


def test_an_engine_that_cannot_be_loaded_closes_the_others() -> None:
    def broken() -> Any:
        raise EngineError("no voice")

    async def main() -> None:
        async with running_supervised_stages(
            factories(broken), SupervisionSettings(), stage_timeout_s=1.0, notify=lambda _: None
        ):
            raise AssertionError

    with pytest.raises(EngineError, match="no voice"):
        asyncio.run(main())
    assert not [one for one in threading.enumerate() if one.name == "voicebot-recognition"]


def test_what_is_queued_for_an_abandoned_engine_is_not_done() -> None:
    async def main() -> None:
        worker: Worker[Engine] = Worker("test", timeout_s=1.0)
        await worker.load(Engine)
        engine, began, go_on = worker.engine, threading.Event(), threading.Event()
        done: list[str] = []

        def hang(_: Engine) -> None:
            began.set()
            go_on.wait(5.0)

        worker.post(hang)
        worker.post(lambda _: done.append("queued"))
        await asyncio.to_thread(began.wait, 5.0)
        worker.abandon(lambda one: one.close())
        assert worker.is_alive
        go_on.set()
        await asyncio.to_thread(worker._thread.join, 5.0)
        assert not worker.is_alive
        assert done == []
        assert engine.is_closed

    asyncio.run(main())
