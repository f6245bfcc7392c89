"""Stages that follow a script in the event loop's time: conversations without models.

They implement the protocols of ``stages.py`` directly, without threads, so that a loop with a
virtual clock runs a conversation of a minute in milliseconds, the same way every time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.protocols import (
    Message,
    Prefilled,
    SpeechChunk,
    SpokenWord,
    TextPiece,
    Transcript,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.errors import VoicebotError

__all__ = [
    "FailAt",
    "ScriptedAsr",
    "ScriptedLlm",
    "ScriptedTts",
    "ScriptedTurnDetector",
    "ScriptedVad",
]

_SPEECH_RMS = 0.01
_FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class FailAt:
    """Where a scripted stage fails: at its n-th call, counted from 1.

    Attributes:
        call: the call that fails; later ones work again.
        error: what it raises; None makes it hang instead.
    """

    call: int
    error: VoicebotError | None


class _Failing:
    def __init__(self, fail_at: FailAt | None) -> None:
        self._fail_at = fail_at
        self._calls = 0

    async def _maybe_fail(self) -> None:
        self._calls += 1
        if self._fail_at is not None and self._calls == self._fail_at.call:
            if self._fail_at.error is not None:
                raise self._fail_at.error
            await asyncio.sleep(_FOREVER_S)


class ScriptedVad(_Failing):
    """Speech is what is louder than -40 dBFS.

    Args:
        latency_s: of each frame.
        fail_at: an optional failure.
    """

    def __init__(self, *, latency_s: float = 0.001, fail_at: FailAt | None = None) -> None:
        super().__init__(fail_at)
        self._latency_s = latency_s

    @property
    def frame_samples(self) -> int:
        """32 ms, as Silero's."""
        return 512

    def reset(self) -> None:
        """Nothing to forget."""

    async def probability(self, frame: Samples) -> float:
        """1 for a loud frame, 0 for a quiet one."""
        await self._maybe_fail()
        await asyncio.sleep(self._latency_s)
        return float(np.sqrt(np.mean(np.square(frame))) > _SPEECH_RMS)


class ScriptedTurnDetector(_Failing):
    """Answers with the probabilities of a list, the last one for ever.

    Args:
        probabilities: one a look.
        latency_s: of each look.
        fail_at: an optional failure.
    """

    def __init__(
        self,
        probabilities: Sequence[float] = (1.0,),
        *,
        latency_s: float = 0.03,
        fail_at: FailAt | None = None,
    ) -> None:
        super().__init__(fail_at)
        self._probabilities = list(probabilities)
        self._latency_s = latency_s

    @property
    def window_s(self) -> float:
        """8 s, as smart-turn's."""
        return 8.0

    async def completion(self, samples: Samples) -> float:
        """The next probability of the list."""
        del samples
        await self._maybe_fail()
        await asyncio.sleep(self._latency_s)
        if len(self._probabilities) > 1:
            return self._probabilities.pop(0)
        return self._probabilities[0]


class ScriptedAsr(_Failing):
    """Understands a word for every stretch of loud audio of a given length.

    Args:
        words: the words it hears, in order; each turn starts again at the first.
        word_s: loud audio a word.
        latency_s: of ``finish``.
        fail_at: an optional failure of ``finish``.
    """

    def __init__(
        self,
        words: Sequence[str] | None = None,
        *,
        word_s: float = 0.25,
        latency_s: float = 0.01,
        fail_at: FailAt | None = None,
    ) -> None:
        super().__init__(fail_at)
        self._words = words or [f"word{index}" for index in range(1000)]
        self._word_s = word_s
        self._latency_s = latency_s
        self._loud_s = 0.0
        self._on_partial: Callable[[str], None] | None = None

    def start(self, on_partial: Callable[[str], None]) -> None:
        """Begin a turn."""
        self._loud_s = 0.0
        self._on_partial = on_partial

    def feed(self, samples: Samples) -> None:
        """Count what is loud."""
        before = self._text()
        self._loud_s += np.count_nonzero(np.abs(samples) > _SPEECH_RMS) / INPUT_SAMPLE_RATE_HZ
        if self._on_partial is not None and self._text() != before:
            self._on_partial(self._text())

    async def finish(self) -> Transcript:
        """The words of the loud audio so far."""
        await self._maybe_fail()
        await asyncio.sleep(self._latency_s)
        return Transcript(self._text(), final=True)

    def _text(self) -> str:
        return " ".join(self._words[: round(self._loud_s / self._word_s)])


class ScriptedLlm(_Failing):
    """Writes replies from a table, a word at a time.

    Args:
        replies: by the user's text; ``default`` for any other.
        default: see ``replies``.
        turn_end_probabilities: by the user's text; 0.5 for any other.
        prefill_s: until the prompt is read.
        token_s: a word.
        fail_at: an optional failure, before the prefill.
    """

    def __init__(
        self,
        replies: Mapping[str, str] | None = None,
        *,
        default: str = "That is a good question. I think it is so.",
        turn_end_probabilities: Mapping[str, float] | None = None,
        prefill_s: float = 0.05,
        token_s: float = 0.02,
        fail_at: FailAt | None = None,
    ) -> None:
        super().__init__(fail_at)
        self._replies = replies or {}
        self._default = default
        self._turn_ends = turn_end_probabilities or {}
        self._prefill_s = prefill_s
        self._token_s = token_s
        self.asked: list[tuple[Message, ...]] = []
        self.prepared: list[tuple[Message, ...]] = []

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:  # noqa: ARG002
        """Read ahead; ``prepared`` keeps the messages."""
        self.prepared.append(tuple(messages))

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        """Write the scripted reply; ``asked`` keeps the messages."""
        self.asked.append(tuple(messages))
        await self._maybe_fail()
        await asyncio.sleep(self._prefill_s)
        text = messages[-1].content
        yield Prefilled(self._turn_ends.get(text, 0.5), read_tokens=10, cached_tokens=0)
        for word in self._replies.get(text, self._default).split():
            await asyncio.sleep(self._token_s)
            yield TextPiece(word + " ", tokens=1)


class ScriptedTts(_Failing):
    """Speaks a tone for each word.

    Args:
        latency_s: before each chunk of a word.
        word_s: sound a word.
        fail_at: an optional failure of ``synthesise``.
    """

    def __init__(
        self, *, latency_s: float = 0.002, word_s: float = 0.2, fail_at: FailAt | None = None
    ) -> None:
        super().__init__(fail_at)
        self._latency_s = latency_s
        self._word_s = word_s
        self.spoken: list[str] = []

    @property
    def sample_rate_hz(self) -> int:
        """16 kHz."""
        return INPUT_SAMPLE_RATE_HZ

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        """A chunk for each word; ``spoken`` keeps the texts."""
        self.spoken.append(text)
        await self._maybe_fail()
        at = 0
        samples = round(self._word_s * INPUT_SAMPLE_RATE_HZ)
        tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(samples) / INPUT_SAMPLE_RATE_HZ)
        for index, word in enumerate(text.split()):
            await asyncio.sleep(self._latency_s)
            start = text.index(word, at)
            at = start + len(word)
            yield SpeechChunk(
                tone.astype(np.float32), (SpokenWord(start, at, index * self._word_s),)
            )
