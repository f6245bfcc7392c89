"""The cascade of a profile, as ``cascade.py`` has it, under supervision: it mends itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from voicebot.stages import (
    AsrStage,
    LlmStage,
    Stages,
    ThreadedAsr,
    ThreadedLlm,
    ThreadedTts,
    ThreadedTurnDetector,
    ThreadedVad,
    TtsStage,
    TurnDetectorStage,
    VadStage,
)
from voicebot.supervision.patience import Patience
from voicebot.supervision.restart_policy import RestartPolicy, RestartRules
from voicebot.supervision.stage_supervisor import EngineInstance, StageSupervisor
from voicebot.supervision.supervised_stages import (
    SupervisedAsr,
    SupervisedLlm,
    SupervisedTts,
    SupervisedTurnDetector,
    SupervisedVad,
)
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from voicebot.cascade import EngineFactories
    from voicebot.config import SupervisionSettings
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["running_supervised_stages"]

StageT = TypeVar("StageT")


def _builder(
    name: str,
    factory: Callable[[], Any],
    stage_on: Callable[[Worker[Any]], StageT],
    timeout_s: float,
) -> Callable[[], Awaitable[EngineInstance[StageT]]]:
    """How to build a stage with an engine and a thread of its own."""

    async def build() -> EngineInstance[StageT]:
        worker: Worker[Any] = Worker(name, timeout_s=timeout_s)
        try:
            await worker.load(factory)
        except BaseException:
            worker.abandon(_release)
            raise
        return EngineInstance(
            stage_on(worker),
            abandon=lambda: worker.abandon(_release),
            is_hung=lambda: worker.is_alive,
            close=lambda: worker.close(_release),
        )

    return build


def _vad_on(worker: Worker[Any]) -> VadStage:
    return ThreadedVad(worker, frame_samples=worker.engine.frame_samples)


def _turn_detector_on(worker: Worker[Any]) -> TurnDetectorStage:
    return ThreadedTurnDetector(worker, window_s=worker.engine.window_s)


def _asr_on(worker: Worker[Any]) -> AsrStage:
    loop = asyncio.get_running_loop()

    def to_loop(call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has closed: a thread came back too late
            loop.call_soon_threadsafe(call)

    return ThreadedAsr(worker, to_loop=to_loop)


def _llm_on(worker: Worker[Any]) -> LlmStage:
    return ThreadedLlm(worker)


def _tts_on(worker: Worker[Any]) -> TtsStage:
    return ThreadedTts(worker, sample_rate_hz=worker.engine.sample_rate_hz)


@asynccontextmanager
async def running_supervised_stages(
    factories: EngineFactories,
    settings: SupervisionSettings,
    *,
    stage_timeout_s: float,
    notify: Callable[[SupervisionFact], None],
) -> AsyncIterator[Stages]:
    """Load all engines side by side and hand out stages that mend themselves.

    Args:
        factories: how each engine is built, at first and whenever one is replaced.
        settings: when one is replaced.
        stage_timeout_s: the longest time without a sign of life.
        notify: takes facts, on the loop; must not block.

    Raises:
        VoicebotError: an engine could not be loaded; those that could are closed again.
    """
    supervisors: list[StageSupervisor[Any]] = []

    async def supervise(
        name: str, factory: Callable[[], Any], stage_on: Callable[[Worker[Any]], StageT]
    ) -> StageSupervisor[StageT]:
        build = _builder(name, factory, stage_on, stage_timeout_s)
        supervisor = StageSupervisor(
            name,
            await build(),
            build,
            policy=RestartPolicy(
                RestartRules(
                    failures_in_a_row=settings.failures_in_a_row,
                    restarts_per_hour=settings.restarts_per_hour,
                    hung_threads_max=settings.hung_threads_max,
                )
            ),
            patience=Patience(shortest_s=settings.stuck_after_s, longest_s=stage_timeout_s),
            notify=notify,
            keeps_spare=settings.spares,
        )
        supervisors.append(supervisor)
        return supervisor

    try:
        results = await asyncio.gather(
            supervise("voice activity", factories.vad, _vad_on),
            supervise("turn completeness", factories.turn_detector, _turn_detector_on),
            supervise("recognition", factories.asr, _asr_on),
            supervise("language model", factories.llm, _llm_on),
            supervise("synthesis", factories.tts, _tts_on),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        vad, turn_detector, asr, llm, tts = results
        yield Stages(
            vad=SupervisedVad(vad),  # type: ignore[arg-type]  # no exception is left
            turn_detector=SupervisedTurnDetector(turn_detector),  # type: ignore[arg-type]
            asr=SupervisedAsr(asr),  # type: ignore[arg-type]
            llm=SupervisedLlm(llm),  # type: ignore[arg-type]
            tts=SupervisedTts(tts),  # type: ignore[arg-type]
            fallbacks=factories.fallbacks,
        )
    finally:
        await asyncio.gather(*(supervisor.close() for supervisor in supervisors))


def _release(engine: Any) -> None:
    engine.close()
