"""The stages of a conversation, each behind a supervisor: a session notices no replacement."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.protocols import Prefilled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Message, SpeechChunk, TextPiece, Transcript
    from voicebot.stages import AsrStage, LlmStage, TtsStage, TurnDetectorStage, VadStage
    from voicebot.supervision.stage_supervisor import StageSupervisor

__all__ = [
    "SupervisedAsr",
    "SupervisedLlm",
    "SupervisedTts",
    "SupervisedTurnDetector",
    "SupervisedVad",
]

_TURN_SAMPLES_MAX = 120 * INPUT_SAMPLE_RATE_HZ


class SupervisedVad:
    """Voice activity. A frame waits for a fresh engine, so that no speech is missed."""

    def __init__(self, supervisor: StageSupervisor[VadStage]) -> None:
        self._supervisor = supervisor
        self._frame_samples = supervisor.current.frame_samples

    @property
    def frame_samples(self) -> int:
        """Samples a frame, at 16 kHz."""
        return self._frame_samples

    def reset(self) -> None:
        """Forget what was heard."""
        self._supervisor.current.reset()

    async def probability(self, frame: Samples) -> float:
        """Probability that ``frame`` is speech."""
        return await self._supervisor.call(lambda vad: vad.probability(frame))


class SupervisedTurnDetector:
    """Turn completeness; asked once only, since a late look is worth nothing."""

    def __init__(self, supervisor: StageSupervisor[TurnDetectorStage]) -> None:
        self._supervisor = supervisor
        self._window_s = supervisor.current.window_s

    @property
    def window_s(self) -> float:
        """How much of the latest audio it looks at, in seconds."""
        return self._window_s

    async def completion(self, samples: Samples) -> float:
        """Probability that the turn in ``samples`` is complete."""
        return await self._supervisor.call(lambda detector: detector.completion(samples), tries=1)


class SupervisedAsr:
    """Recognition.

    The turn's audio is kept (at most its last two minutes) and heard again by a fresh engine.
    """

    def __init__(self, supervisor: StageSupervisor[AsrStage]) -> None:
        self._supervisor = supervisor
        self._heard: deque[Samples] = deque()
        self._heard_samples = 0
        self._on_partial: Callable[[str], None] = lambda _: None
        self._up_to_date: AsrStage | None = None

    def start(self, on_partial: Callable[[str], None]) -> None:
        """Begin a turn."""
        self._on_partial = on_partial
        self._heard.clear()
        self._heard_samples = 0
        self._up_to_date = None
        self._bring_up_to_date(self._supervisor.current)

    def feed(self, samples: Samples) -> None:
        """Queue audio."""
        self._heard.append(samples)
        self._heard_samples += len(samples)
        while self._heard_samples > _TURN_SAMPLES_MAX and len(self._heard) > 1:
            self._heard_samples -= len(self._heard.popleft())
        stage = self._supervisor.current
        if stage is self._up_to_date:
            stage.feed(samples)
        else:
            self._bring_up_to_date(stage)

    async def finish(self) -> Transcript:
        """The transcript of all that was fed."""

        async def work(stage: AsrStage) -> Transcript:
            self._bring_up_to_date(stage)
            try:
                return await stage.finish()
            except Exception:
                self._up_to_date = None  # what it has heard is not sure any more
                raise

        return await self._supervisor.call(work)

    def _bring_up_to_date(self, stage: AsrStage) -> None:
        if stage is self._up_to_date:
            return
        self._up_to_date = stage
        on_partial = self._on_partial

        def tell(text: str) -> None:
            if self._up_to_date is stage and self._on_partial is on_partial:
                on_partial(text)  # and not what a hung thread understands long after

        stage.start(tell)
        for samples in self._heard:
            stage.feed(samples)


class SupervisedLlm:
    """The language model. A reply that has no word yet is begun again."""

    def __init__(self, supervisor: StageSupervisor[LlmStage]) -> None:
        self._supervisor = supervisor

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        """Read ahead, unless the engine is being replaced."""
        if not self._supervisor.is_replacing:
            self._supervisor.current.prepare(messages, write_tokens=write_tokens)

    def generate(self, messages: Sequence[Message]) -> AsyncGenerator[Prefilled | TextPiece, None]:
        """Write a reply."""
        return self._supervisor.stream(
            lambda llm: llm.generate(messages),
            is_prelude=lambda item: isinstance(item, Prefilled),
        )


class SupervisedTts:
    """Synthesis. A clause that has no sound yet is begun again."""

    def __init__(self, supervisor: StageSupervisor[TtsStage]) -> None:
        self._supervisor = supervisor
        self._sample_rate_hz = supervisor.current.sample_rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """The rate of its chunks; a fresh engine has the same."""
        return self._sample_rate_hz

    def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        """Speak ``text``."""
        return self._supervisor.stream(lambda tts: tts.synthesise(text))
