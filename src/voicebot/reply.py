"""One reply: generate → speak → play.

Three tasks in one TaskGroup, joined by bounded queues: the language model's text is cut into
clauses, each clause is synthesised, and the audio waits behind the gate until the turn is
committed. To stop a reply, call ``silence`` before the sink is cleared, then cancel ``run``: a
cancelled task takes a moment to notice, and must not write in it.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, SpeechChunk, TextPiece
from voicebot.errors import VoicebotError, as_expected
from voicebot.events import ClauseSpoken
from voicebot.text.clauses import ClauseSplitter
from voicebot.text.speakable import Speakable, heard_prefix, speakable_with_spans
from voicebot.timeline import Mark, Part, Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voicebot.audio.sinks import AudioSink
    from voicebot.events import Event
    from voicebot.stages import TtsStage

__all__ = ["Reply", "ReplyRules"]

_CLAUSES_AHEAD = 4
_CHUNKS_AHEAD = 256
_SAME_INSTANT_S = 1e-6


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """How a reply is cut into clauses.

    Attributes:
        first_clause_min_words: the first clause may end at a weak boundary from here on.
        clause_max_characters: a clause ends here at the latest.
        language: for reading out numbers and units.
    """

    first_clause_min_words: int = 3
    clause_max_characters: int = 220
    language: str = "en"


@dataclass(slots=True)
class _PlayedClause:
    """A clause on its way through the loudspeaker."""

    speakable: Speakable
    word_instants: list[tuple[int, float]] = field(default_factory=list)  # text end, DAC time
    samples: int = 0
    starts_s: float | None = None
    ends_s: float = 0.0
    is_complete: bool = False

    def heard_by(self, instant_s: float) -> str:
        """The original text up to the last word whose sound was over by then."""
        if self.is_complete and self.ends_s <= instant_s + _SAME_INSTANT_S:
            return self.speakable.original.strip()
        heard_to = 0
        for index, (text_end, _) in enumerate(self.word_instants):
            is_last = index + 1 == len(self.word_instants)
            if is_last and not self.is_complete:
                break  # where it ends is not known yet
            over_s = self.ends_s if is_last else self.word_instants[index + 1][1]
            if over_s <= instant_s + _SAME_INSTANT_S:
                heard_to = text_end
        return heard_prefix(self.speakable, heard_to).strip()


@dataclass(frozen=True, slots=True)
class _ClauseAudio:
    """A chunk of a clause; None behind its last."""

    clause: _PlayedClause
    chunk: SpeechChunk | None


class Reply:
    """A reply to one turn, drafted at once and played when ``gate`` opens.

    Args:
        turn: the number of the turn it answers.
        pieces: the language model's output; closed by the reply.
        tts: speaks it.
        sink: plays it.
        gate: set by the commit; nothing reaches the sink before.
        timeline: receives the marks and spans.
        rules: how text is cut.
        notify: takes the facts as they happen.
        on_prefilled: takes the language model's reading of the prompt.
    """

    def __init__(
        self,
        turn: int,
        pieces: AsyncGenerator[Prefilled | TextPiece, None],
        *,
        tts: TtsStage,
        sink: AudioSink,
        gate: asyncio.Event,
        timeline: Timeline,
        rules: ReplyRules,
        notify: Callable[[Event], None],
        on_prefilled: Callable[[Prefilled], None],
    ) -> None:
        self._turn = turn
        self._pieces = pieces
        self._tts = tts
        self._sink = sink
        self._gate = gate
        self._timeline = timeline
        self._rules = rules
        self._notify = notify
        self._on_prefilled = on_prefilled
        self._text: list[str] = []
        self._tokens = 0
        self._is_silenced = False
        self._played: list[_PlayedClause] = []
        self._clauses: asyncio.Queue[Speakable | None] = asyncio.Queue(_CLAUSES_AHEAD)
        self._audio: asyncio.Queue[_ClauseAudio | None] = asyncio.Queue(_CHUNKS_AHEAD)

    @property
    def text(self) -> str:
        """What the language model has written so far."""
        return "".join(self._text).strip()

    @property
    def tokens(self) -> int:
        """What that has cost."""
        return self._tokens

    @property
    def starts_s(self) -> float | None:
        """The DAC time of its first sample; None until that is known."""
        return self._played[0].starts_s if self._played else None

    def silence(self) -> None:
        """From now on nothing more reaches the sink."""
        self._is_silenced = True

    def heard_text(self, until_s: float) -> str:
        """What had been heard of it by ``until_s``, to the word.

        A word counts once its sound is over, that is when the next word or the clause's end has
        been reached.
        """
        parts = [
            clause.heard_by(until_s)
            for clause in self._played
            if clause.starts_s is not None and clause.starts_s < until_s
        ]
        return " ".join(part for part in parts if part)

    async def run(self) -> None:
        """Draft the reply, wait for the gate, play it to its last sample.

        Raises:
            VoicebotError: a stage failed; what was already written to the sink goes on playing.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._generate())
                group.create_task(self._speak())
                group.create_task(self._play())
        except ExceptionGroup as errors:
            if self._is_silenced:
                # Dropped at the moment in which a stage failed: the group raises the failure, but
                # whoever cancelled this task waits for it to be cancelled.
                raise asyncio.CancelledError from None
            raise _as_one_error(errors) from errors

    async def _generate(self) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        splitter = ClauseSplitter(
            first_clause_min_words=self._rules.first_clause_min_words,
            max_clause_characters=self._rules.clause_max_characters,
        )

        async def pass_on(clauses: list[str]) -> None:
            for clause in clauses:
                speakable = speakable_with_spans(clause, self._rules.language)
                if speakable.text:
                    self._timeline.span(Part.LLM, started_s, loop.time())
                    await self._clauses.put(speakable)

        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                if isinstance(piece, Prefilled):
                    self._timeline.mark(Mark.PREFILLED, loop.time())
                    self._on_prefilled(piece)
                    continue
                self._timeline.mark(Mark.FIRST_TOKEN, loop.time())
                self._text.append(piece.text)
                self._tokens += piece.tokens
                await pass_on(splitter.feed(piece.text))
        await pass_on(splitter.flush())
        await self._clauses.put(None)

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        while (speakable := await self._clauses.get()) is not None:
            clause = _PlayedClause(speakable)
            started_s = loop.time()
            async with aclosing(self._tts.synthesise(speakable.text)) as chunks:
                async for chunk in chunks:
                    if len(chunk.samples):
                        self._timeline.span(Part.TTS, started_s, loop.time())
                        await self._audio.put(_ClauseAudio(clause, chunk))
            await self._audio.put(_ClauseAudio(clause, None))
        await self._audio.put(None)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        await self._gate.wait()
        self._sink.begin()
        while (item := await self._audio.get()) is not None:
            if self._is_silenced:
                return
            if item.chunk is None:
                item.clause.is_complete = True
            else:
                self._write(item.clause, item.chunk)
        if self._played:
            await asyncio.sleep(max(0.0, self._sink.ends_s - loop.time()))

    def _write(self, clause: _PlayedClause, chunk: SpeechChunk) -> None:
        rate_hz = self._sink.sample_rate_hz
        self._timeline.mark(Mark.WRITTEN, asyncio.get_running_loop().time())
        starts_s = self._sink.write(chunk.samples)
        self._timeline.mark(Mark.LEFT_SINK, starts_s)
        if clause.starts_s is None:
            clause.starts_s = starts_s
            self._played.append(clause)
            self._notify(ClauseSpoken(self._turn, clause.speakable.original, starts_s))
        for word in chunk.words:
            within_s = word.start_s - clause.samples / rate_hz
            clause.word_instants.append((word.text_end, starts_s + within_s))
        clause.samples += len(chunk.samples)
        clause.ends_s = starts_s + len(chunk.samples) / rate_hz


def _as_one_error(errors: ExceptionGroup[Exception]) -> VoicebotError:
    """The error of the tree among ``errors``, or one that stands for a bug among them."""
    for error in errors.exceptions:
        if isinstance(error, ExceptionGroup):
            return _as_one_error(error)
        if isinstance(error, VoicebotError):
            return error
    return as_expected(errors.exceptions[0], "the reply")
