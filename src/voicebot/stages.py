"""The stages of a conversation as the session sees them: engines on threads of their own.

``Stages`` is all the session knows of models. The threaded stages here drive blocking engines
(``engines/protocols.py``) through ``worker.py``; ``engines/scripted.py`` has fakes that follow a
script in virtual time.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from voicebot.fallbacks import FallbackReports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import (
        Asr,
        Llm,
        Message,
        Prefilled,
        SpeechChunk,
        TextPiece,
        Transcript,
        Tts,
        TurnDetector,
        Vad,
    )
    from voicebot.worker import Worker

__all__ = [
    "AsrStage",
    "LlmStage",
    "Stages",
    "ThreadedAsr",
    "ThreadedLlm",
    "ThreadedTts",
    "ThreadedTurnDetector",
    "ThreadedVad",
    "TtsStage",
    "TurnDetectorStage",
    "VadStage",
]

_PIECES_AHEAD = 64
_CHUNKS_AHEAD = 256


class VadStage(Protocol):
    """Voice activity."""

    @property
    def frame_samples(self) -> int:
        """Samples a frame, at 16 kHz."""
        ...

    def reset(self) -> None:
        """Forget what was heard, as for a new stream."""
        ...

    async def probability(self, frame: Samples) -> float:
        """Probability that ``frame`` is speech."""
        ...


class TurnDetectorStage(Protocol):
    """Turn completeness by sound."""

    @property
    def window_s(self) -> float:
        """How much of the latest audio it looks at, in seconds."""
        ...

    async def completion(self, samples: Samples) -> float:
        """Probability that the turn in ``samples`` is complete."""
        ...


class AsrStage(Protocol):
    """Streaming recognition."""

    def start(self, on_partial: Callable[[str], None]) -> None:
        """Begin a turn; ``on_partial`` is called on the loop with each new partial text."""
        ...

    def feed(self, samples: Samples) -> None:
        """Queue audio; never waits."""
        ...

    async def finish(self) -> Transcript:
        """The transcript of all that was fed; feeding may go on afterwards."""
        ...


class LlmStage(Protocol):
    """The language model."""

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        """Read ``messages`` ahead, so that ``generate`` finds them read; never waits.

        If the user's words may be finished, the reply is begun: its first ``write_tokens``.

        The next ``prepare`` or ``generate`` ends it.
        """
        ...

    def generate(self, messages: Sequence[Message]) -> AsyncGenerator[Prefilled | TextPiece, None]:
        """Write a reply; closing the iterator stops the model."""
        ...


class TtsStage(Protocol):
    """Speech synthesis."""

    @property
    def sample_rate_hz(self) -> int:
        """The rate of its chunks."""
        ...

    def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        """Speak ``text``; closing the iterator stops it."""
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """One of each, what they report of their fallbacks, and by role what runs their models."""

    vad: VadStage
    turn_detector: TurnDetectorStage
    asr: AsrStage
    llm: LlmStage
    tts: TtsStage
    fallbacks: FallbackReports = field(default_factory=FallbackReports)
    runs_as: Mapping[str, str] = field(default_factory=dict)


class ThreadedVad:
    """A ``Vad`` on its thread."""

    def __init__(self, worker: Worker[Vad], *, frame_samples: int) -> None:
        self._worker = worker
        self._frame_samples = frame_samples

    @property
    def frame_samples(self) -> int:
        """Samples a frame, at 16 kHz."""
        return self._frame_samples

    def reset(self) -> None:
        """Forget what was heard."""
        self._worker.post(lambda vad: vad.reset())

    async def probability(self, frame: Samples) -> float:
        """Probability that ``frame`` is speech."""
        return await self._worker.call(lambda vad: vad.probability(frame))


class ThreadedTurnDetector:
    """A ``TurnDetector`` on its thread."""

    def __init__(self, worker: Worker[TurnDetector], *, window_s: float) -> None:
        self._worker = worker
        self._window_s = window_s

    @property
    def window_s(self) -> float:
        """How much of the latest audio it looks at, in seconds."""
        return self._window_s

    async def completion(self, samples: Samples) -> float:
        """Probability that the turn in ``samples`` is complete."""
        return await self._worker.call(lambda detector: detector.completion(samples))


class ThreadedAsr:
    """An ``Asr`` on its thread."""

    def __init__(
        self, worker: Worker[Asr], *, to_loop: Callable[[Callable[[], None]], None]
    ) -> None:
        self._worker = worker
        self._to_loop = to_loop
        self._on_partial: Callable[[str], None] | None = None

    def start(self, on_partial: Callable[[str], None]) -> None:
        """Begin a turn."""
        self._on_partial = on_partial
        self._worker.post(lambda asr: asr.start(), afresh=True)

    def feed(self, samples: Samples) -> None:
        """Queue audio."""
        on_partial = self._on_partial

        def job(asr: Asr) -> None:
            partial = asr.feed(samples)
            if partial is not None and on_partial is not None:
                self._to_loop(lambda: on_partial(partial.text))

        self._worker.post(job)

    async def finish(self) -> Transcript:
        """The transcript of all that was fed."""
        return await self._worker.call(lambda asr: asr.finish())


class ThreadedLlm:
    """An ``Llm`` on its thread."""

    def __init__(self, worker: Worker[Llm]) -> None:
        self._worker = worker
        self._stop_preparing = threading.Event()

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        """Read ahead."""
        self._stop_preparing.set()
        stop = self._stop_preparing = threading.Event()

        def job(llm: Llm) -> None:
            # What is wrong with the messages or the model shows again when they are answered.
            with contextlib.suppress(Exception):
                if not stop.is_set():
                    llm.prepare(messages, stop, write_tokens)

        self._worker.post(job)

    def generate(self, messages: Sequence[Message]) -> AsyncGenerator[Prefilled | TextPiece, None]:
        """Write a reply."""
        self._stop_preparing.set()
        return self._worker.stream(
            lambda llm, stop: llm.generate(messages, stop), ahead=_PIECES_AHEAD
        )


class ThreadedTts:
    """A ``Tts`` on its thread."""

    def __init__(self, worker: Worker[Tts], *, sample_rate_hz: int) -> None:
        self._worker = worker
        self._sample_rate_hz = sample_rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """The rate of its chunks."""
        return self._sample_rate_hz

    def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        """Speak ``text``."""
        return self._worker.stream(
            lambda tts, stop: tts.synthesise(text, stop), ahead=_CHUNKS_AHEAD
        )
