"""What an engine must do to be a stage of the conversation.

Engines are plain blocking objects. Each lives on one thread of its own (``worker.py``), so none
needs locks, and none is ever called from the event loop. Loading is the constructor's work or a
``load`` classmethod's; a constructed engine is ready and warm. ``close`` frees what it holds and
may be called once, from the same thread.

Long work is a generator that looks at ``stop`` at every step and returns early once it is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voicebot.audio.samples import Samples

__all__ = [
    "Asr",
    "HeardWord",
    "Llm",
    "Message",
    "Prefilled",
    "SpeechChunk",
    "SpokenWord",
    "StopFlag",
    "Stopped",
    "TextPiece",
    "Transcript",
    "Tts",
    "TurnDetector",
    "Vad",
]


class StopFlag(Protocol):
    """The read side of ``threading.Event``: set once the work is no longer wanted."""

    def is_set(self) -> bool:
        """Whether the work should end now."""
        ...


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word that was understood, and where it lies in the turn's audio.

    Attributes:
        text: without spaces around it; with its punctuation.
        start_s: where its sound begins, in seconds from the first sample of the turn.
        end_s: where it ends.
        probability: the model's own, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the recogniser understood of the turn so far.

    Attributes:
        text: lower or mixed case as the engine gives it, stripped; empty when nothing was said.
        final: False while more decoding could still change it without new audio.
        confidence: how sure the engine is of the words, 0 to 1; None if it cannot tell.
        words: the words with their times, if the engine was asked for them.
    """

    text: str
    final: bool
    confidence: float | None = None
    words: tuple[HeardWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as chat templates know it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The language model has read the prompt.

    Attributes:
        turn_end_probability: probability mass, 0 to 1, that the model puts on end of message or
            sentence-final punctuation right after the user's words: a sign that they were
            finished. None if the engine cannot tell.
        read_tokens: tokens actually computed.
        cached_tokens: tokens taken over from earlier turns.
    """

    turn_end_probability: float | None
    read_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Something that the guard did not let pass.

    Attributes:
        speaker: whose words they were.
        topic: why.
    """

    speaker: Literal["user", "bot"]
    topic: str


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of the reply as the language model writes it.

    Attributes:
        text: to be appended as it is (it brings its own spaces); may be empty while a
            multi-token character is incomplete.
        tokens: how many tokens it cost.
        is_clause: it is a whole clause, to be spoken as it is and cut no further.
        stopped: set if this is said in the place of what the guard stopped.
    """

    text: str
    tokens: int
    is_clause: bool = False
    stopped: Stopped | None = None


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where a word lies in a clause's text and in its audio.

    Attributes:
        text_start: index of its first character in the synthesised text.
        text_end: index behind its last character.
        start_s: where its sound begins, in seconds from the first sample of the clause.
    """

    text_start: int
    text_end: int
    start_s: float


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A stretch of synthesised audio.

    Attributes:
        samples: shape (n,), float32, at the engine's ``sample_rate_hz``.
        words: the words whose sound begins in this chunk.
    """

    samples: Samples
    words: tuple[SpokenWord, ...] = ()


class Vad(Protocol):
    """Voice activity: how likely each frame is speech."""

    @property
    def frame_samples(self) -> int:
        """Samples a frame, at 16 kHz."""
        ...

    def probability(self, frame: Samples) -> float:
        """Probability, 0 to 1, that ``frame`` (shape (frame_samples,)) is speech; keeps state."""
        ...

    def reset(self) -> None:
        """Forget what was heard, as for a new stream."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class TurnDetector(Protocol):
    """Turn completeness from the sound of it."""

    @property
    def window_s(self) -> float:
        """How much of the turn's latest audio it looks at, in seconds."""
        ...

    def completion(self, samples: Samples) -> float:
        """Probability, 0 to 1, that the turn in ``samples`` (16 kHz) is complete."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class Asr(Protocol):
    """Streaming speech recognition of one turn at a time."""

    def start(self) -> None:
        """Begin a new turn; whatever was fed before is forgotten."""
        ...

    def feed(self, samples: Samples) -> Transcript | None:
        """Take the next audio (16 kHz); give the new partial transcript if it changed."""
        ...

    def finish(self) -> Transcript:
        """The final transcript of all that was fed since ``start``.

        ``feed`` may follow: the user went on, the turn continues, and the next ``finish``
        covers the whole of it.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class Llm(Protocol):
    """A language model that writes the reply."""

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """Write the reply to ``messages``, whose last one is the user's.

        Yields one ``Prefilled`` first, then ``TextPiece``s in order. Ends at the end of the
        message, at the token limit, or soon after ``stop`` is set.
        """
        ...

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        """Read ``messages``, so that ``generate`` finds them read.

        If the user's words in them may be finished, the first ``write_tokens`` of the reply are
        written, too, and kept for ``generate``.

        Returns:
            What ``generate`` would yield first; None if ``stop`` was set meanwhile.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class Tts(Protocol):
    """Speech synthesis, a clause at a time."""

    @property
    def sample_rate_hz(self) -> int:
        """The rate of every chunk it makes."""
        ...

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        """Speak ``text`` (plain words, speakable as they stand), in chunks as they come.

        Leading silence is not part of what it yields. ``words`` index into ``text``.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...
