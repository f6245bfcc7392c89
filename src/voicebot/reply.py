"""One reply: generate → speak → play.

Three tasks in one TaskGroup, joined by bounded queues: the language model's text is cut into
clauses, each clause is synthesised, and the audio waits behind the gate until the turn is
committed. To stop a reply, call ``silence`` before the sink is cleared, then cancel ``run``: a
cancelled task takes a moment to notice, and must not write in it. To hold it, call ``hold`` before
the sink is cleared; it goes on writing and speaking, into its memory.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, SpeechChunk, TextPiece
from voicebot.errors import VoicebotError, as_expected
from voicebot.events import GuardIntervened
from voicebot.playout import PlayedClause, Playout
from voicebot.text.clauses import ClauseSplitter, ends_sentence
from voicebot.text.speakable import Speakable, speakable_with_spans
from voicebot.timeline import Mark, Part, Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voicebot.audio.sinks import AudioSink
    from voicebot.engines.protocols import Stopped
    from voicebot.events import Event
    from voicebot.stages import TtsStage

__all__ = ["Reply", "ReplyRules"]

_CLAUSES_AHEAD = 4
_CHUNKS_AHEAD = 256


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """How a reply is made.

    Attributes:
        drafts: it is written before the commit; otherwise only the prompt is read by then.
        early_first_clause: the first clause ends where a speaker could pause, not at a full stop.
        first_clause_min_words: the first clause may end at a weak boundary from here on.
        clause_max_characters: a clause ends here at the latest.
        language: of what is said: how it is cut and read aloud, and the bot's own sentences.
        max_tokens: the language model's limit; a reply that has reached it may break off within a
            word, which is then not said. None if there is no limit.
    """

    drafts: bool = True
    early_first_clause: bool = True
    first_clause_min_words: int = 3
    clause_max_characters: int = 220
    language: str = "en"
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _ClauseAudio:
    """A chunk of a clause; None behind its last."""

    clause: PlayedClause
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
        self._stopped: list[Stopped] = []
        self._playout = Playout(turn, sink, timeline, notify)
        self._clauses: asyncio.Queue[Speakable | None] = asyncio.Queue(_CLAUSES_AHEAD)
        self._audio: asyncio.Queue[_ClauseAudio | None] = asyncio.Queue(_CHUNKS_AHEAD)
        self._written: list[str] = []  # the clauses that have something to say
        self._ends_from: int | None = None  # it ends with the first sentence end from this clause
        self._last_number: int | None = None  # the clause that ends it early

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
        return self._playout.starts_s

    @property
    def text_to_hear(self) -> str:
        """Its text, or the part of it that is said if it ends early."""
        if self._last_number is None:
            return self.text
        return " ".join(self._written[: self._last_number + 1])

    def finish_sentence(self) -> None:
        """Say the sentence that is heard now to its end, and nothing after it."""
        if self._ends_from is None:
            now_s = asyncio.get_running_loop().time()
            self._ends_from = self._playout.number_heard_at(now_s)
            self._end_early()

    def silence(self) -> None:
        """From now on nothing more reaches the sink."""
        self._playout.silence()

    def hold(self) -> None:
        """Nothing reaches the sink until ``resume``; call it before the sink is cleared."""
        self._playout.hold()

    def resume(self, silent_from_s: float) -> None:
        """Go on from the start of the word that was cut at ``silent_from_s``."""
        self._playout.resume(silent_from_s)

    def heard_text(self, until_s: float) -> str:
        """What had been heard of it by ``until_s``, to the word.

        A word counts once its sound is over, that is when the next word or the clause's end has
        been reached.
        """
        return self._playout.heard_text(until_s)

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
            if self._playout.is_silenced:
                # Dropped at the moment in which a stage failed: the group raises the failure, but
                # whoever cancelled this task waits for it to be cancelled.
                raise asyncio.CancelledError from None
            raise _as_one_error(errors) from errors

    async def _generate(self) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        splitter = ClauseSplitter(
            first_clause_min_words=self._rules.first_clause_min_words,
            early_first_clause=self._rules.early_first_clause,
            max_clause_characters=self._rules.clause_max_characters,
            language=self._rules.language,
        )

        async def pass_on(clauses: list[str]) -> None:
            for clause in clauses:
                speakable = speakable_with_spans(clause, self._rules.language)
                if speakable.text and self._last_number is None:
                    self._written.append(clause)
                    self._end_early()
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
                if piece.stopped is not None:
                    self._stopped.append(piece.stopped)
                    self._tell_stopped()
                if piece.is_clause:
                    await pass_on([*splitter.flush(), piece.text])
                else:
                    await pass_on(splitter.feed(piece.text))
                if self._last_number is not None:
                    break
        if self._rules.max_tokens is not None and self._tokens >= self._rules.max_tokens:
            dropped = splitter.drop_unfinished_word()
            self._text = ["".join(self._text).removesuffix(dropped)]
        await pass_on(splitter.flush())
        await self._clauses.put(None)

    def _tell_stopped(self) -> None:
        """Tell what the guard stopped, once it is sure that this reply is the one."""
        if self._gate.is_set():
            for stopped in self._stopped:
                self._notify(GuardIntervened(self._turn, stopped.speaker, stopped.topic))
            self._stopped.clear()

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        number = -1
        while (speakable := await self._clauses.get()) is not None:
            number += 1
            if self._is_past_end(number):
                continue
            clause = PlayedClause(speakable, number)
            started_s = loop.time()
            async with aclosing(self._tts.synthesise(speakable.text)) as chunks:
                async for chunk in chunks:
                    if self._is_past_end(number):
                        break
                    if len(chunk.samples):
                        self._timeline.span(Part.TTS, started_s, loop.time())
                        await self._audio.put(_ClauseAudio(clause, chunk))
            await self._audio.put(_ClauseAudio(clause, None))
        await self._audio.put(None)

    def _end_early(self) -> None:
        if self._ends_from is None or self._last_number is not None:
            return
        for number in range(self._ends_from, len(self._written)):
            if ends_sentence(self._written[number]):
                self._last_number = number
                self._playout.end_with(number)
                return

    def _is_past_end(self, number: int) -> bool:
        return self._last_number is not None and number > self._last_number

    async def _play(self) -> None:
        await self._gate.wait()
        self._tell_stopped()
        self._sink.begin()
        while (item := await self._audio.get()) is not None:
            if self._playout.is_silenced:
                return
            if item.chunk is None:
                item.clause.is_complete = True
            else:
                self._playout.add(item.clause, item.chunk)
        await self._playout.finish()


def _as_one_error(errors: ExceptionGroup[Exception]) -> VoicebotError:
    """The error of the tree among ``errors``, or one that stands for a bug among them."""
    for error in errors.exceptions:
        if isinstance(error, ExceptionGroup):
            return _as_one_error(error)
        if isinstance(error, VoicebotError):
            return error
    return as_expected(errors.exceptions[0], "the reply")
