"""The cascade of a profile: its models loaded, each on a thread of its own, ready to converse."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.fallbacks import FallbackReports
from voicebot.stages import (
    Stages,
    ThreadedAsr,
    ThreadedLlm,
    ThreadedTts,
    ThreadedTurnDetector,
    ThreadedVad,
)
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.engines.protocols import Asr, Llm, Tts, TurnDetector, Vad

__all__ = ["EngineFactories", "running_stages"]


@dataclass(frozen=True, slots=True)
class EngineFactories:
    """How each engine of a profile is built; each is called on the thread that will drive it.

    ``fallbacks`` is told by those that have a second engine.
    """

    vad: Callable[[], Vad]
    turn_detector: Callable[[], TurnDetector]
    asr: Callable[[], Asr]
    llm: Callable[[], Llm]
    tts: Callable[[], Tts]
    fallbacks: FallbackReports = field(default_factory=FallbackReports)


@asynccontextmanager
async def running_stages(
    factories: EngineFactories, *, stage_timeout_s: float
) -> AsyncIterator[Stages]:
    """Load all engines side by side and hand out the stages; leaving closes them.

    Raises:
        VoicebotError: an engine could not be loaded; those that could are closed again.
    """
    vad: Worker[Vad] = Worker("voice activity", timeout_s=stage_timeout_s)
    turn_detector: Worker[TurnDetector] = Worker("turn completeness", timeout_s=stage_timeout_s)
    asr: Worker[Asr] = Worker("recognition", timeout_s=stage_timeout_s)
    llm: Worker[Llm] = Worker("language model", timeout_s=stage_timeout_s)
    tts: Worker[Tts] = Worker("synthesis", timeout_s=stage_timeout_s)
    try:
        results = await asyncio.gather(
            llm.load(factories.llm),
            asr.load(factories.asr),
            turn_detector.load(factories.turn_detector),
            vad.load(factories.vad),
            tts.load(factories.tts),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        loop = asyncio.get_running_loop()

        def to_loop(call: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(call)

        yield Stages(
            vad=ThreadedVad(vad, frame_samples=vad.engine.frame_samples),
            turn_detector=ThreadedTurnDetector(
                turn_detector, window_s=turn_detector.engine.window_s
            ),
            asr=ThreadedAsr(asr, to_loop=to_loop),
            llm=ThreadedLlm(llm),
            tts=ThreadedTts(tts, sample_rate_hz=tts.engine.sample_rate_hz),
            fallbacks=factories.fallbacks,
            runs_as={
                role: getattr(worker.engine, "runs_as", "")
                for role, worker in (("asr", asr), ("llm", llm), ("tts", tts))
            },
        )
    finally:
        await asyncio.gather(
            vad.close(lambda engine: engine.close()),
            turn_detector.close(lambda engine: engine.close()),
            asr.close(lambda engine: engine.close()),
            llm.close(lambda engine: engine.close()),
            tts.close(lambda engine: engine.close()),
        )
