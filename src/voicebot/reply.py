"""One reply: generate → speak → play.

Three tasks in one TaskGroup, joined by bounded queues: the language model's text is cut into
clauses, each clause is synthesised, and the audio waits behind the gate until the turn is
committed. Cancelling ``run`` ends all three; what the sink still holds is the session's to clear,
before it cancels.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, SpeechChunk, SpokenWord, TextPiece
from voicebot.errors import VoicebotError
from voicebot.events import ClauseSpoken
from voicebot.text.clauses import ClauseSplitter
from voicebot.text.speakable import Speakable, heard_prefix, speakable_with_spans
from voicebot.timeline import Mark, Stage, Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voicebot.audio.sinks import AudioSink
    from voicebot.events import Event
    from voicebot.stages import TtsStage

__all__ = ["Reply", "ReplyRules"]

_CLAUSES_AHEAD = 4
_CHUNKS_AHEAD = 256


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
    words: list[SpokenWord] = field(default_factory=list)
    starts_s: float | None = None
    ends_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _ClauseAudio:
    clause: _PlayedClause
    chunk: SpeechChunk


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
        self._played: list[_PlayedClause] = []
        self._clauses: asyncio.Queue[str | None] = asyncio.Queue(_CLAUSES_AHEAD)
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

    def heard_text(self, until_s: float) -> str:
        """What had been heard of it by ``until_s``, to the word.

        A word counts once its sound is over, that is when the next word or the clause's end has
        been reached.
        """
        parts = []
        for clause in self._played:
            if clause.starts_s is None or clause.starts_s >= until_s:
                break
            if clause.ends_s <= until_s + 1e-6:
                parts.append(clause.speakable.original.strip())
                continue
            word_ends = [*clause.words[1:], None]
            heard_to = 0
            for word, following in zip(clause.words, word_ends, strict=True):
                ends_s = clause.ends_s if following is None else clause.starts_s + following.start_s
                if ends_s <= until_s + 1e-6:
                    heard_to = word.text_end
            parts.append(heard_prefix(clause.speakable, heard_to).strip())
            break
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
        except* VoicebotError as group_error:
            raise _first(group_error) from None

    async def _generate(self) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        splitter = ClauseSplitter(
            first_clause_min_words=self._rules.first_clause_min_words,
            max_clause_characters=self._rules.clause_max_characters,
        )

        async def pass_on(clauses: list[str]) -> None:
            for clause in clauses:
                self._timeline.span(Stage.LLM, started_s, loop.time())
                await self._clauses.put(clause)

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
        while (text := await self._clauses.get()) is not None:
            speakable = speakable_with_spans(text, self._rules.language)
            if not speakable.text:
                continue
            clause = _PlayedClause(speakable)
            started_s = loop.time()
            async with aclosing(self._tts.synthesise(speakable.text)) as chunks:
                async for chunk in chunks:
                    self._timeline.span(Stage.TTS, started_s, loop.time())
                    clause.words.extend(chunk.words)
                    await self._audio.put(_ClauseAudio(clause, chunk))
        await self._audio.put(None)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        await self._gate.wait()
        self._sink.begin()
        while (item := await self._audio.get()) is not None:
            samples = item.chunk.samples
            if len(samples) == 0:
                continue
            self._timeline.mark(Mark.WRITTEN, loop.time())
            starts_s = self._sink.write(samples)
            self._timeline.mark(Mark.LEFT_SINK, starts_s)
            if item.clause.starts_s is None:
                item.clause.starts_s = starts_s
                self._played.append(item.clause)
                self._notify(ClauseSpoken(self._turn, item.clause.speakable.original, starts_s))
            item.clause.ends_s = starts_s + len(samples) / self._sink.sample_rate_hz
        if self._played:
            await asyncio.sleep(max(0.0, self._sink.ends_s - loop.time()))


def _first(group: BaseExceptionGroup[VoicebotError]) -> VoicebotError:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
