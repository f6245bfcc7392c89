"""One client's text to speech."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wyoming.audio import AudioChunk, AudioStart, AudioStop

from voicebot.audio.pcm import pcm16
from voicebot.errors import EngineError
from voicebot.text.clauses import ClauseSplitter
from voicebot.text.speakable import speakable
from voicebot.wyoming_service.handover import Handover

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wyoming.event import Eventable

    from voicebot.engines.protocols import Tts
    from voicebot.wyoming_service.engine_pool import EnginePool

__all__ = ["Synthesis", "SynthesisRules"]

_CLAUSES_AHEAD = 64
_CHUNKS_AHEAD = 64
_WIDTH_BYTES = 2
_LONGEST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class SynthesisRules:
    """How text is made ready to be spoken.

    Attributes:
        sample_rate_hz: of the engines.
        language: for reading out numbers and units.
        clause_max_characters: a clause ends here at the latest.
    """

    sample_rate_hz: int
    language: str
    clause_max_characters: int


class Synthesis:
    """A request: its text comes in, clause by clause it is spoken.

    An engine is borrowed for each clause anew, so that a long text keeps nobody waiting for long.

    Args:
        engines: the synthesisers.
        send: sends the client an event.
        rules: how text is made ready.
    """

    def __init__(
        self,
        engines: EnginePool[Tts],
        send: Callable[[Eventable], Awaitable[None]],
        rules: SynthesisRules,
    ) -> None:
        self._engines = engines
        self._send = send
        self._rules = rules
        self._splitter = ClauseSplitter(
            max_clause_characters=rules.clause_max_characters, language=rules.language
        )
        self._clauses: Handover[str] = Handover(_CLAUSES_AHEAD)
        self._taken_characters = 0
        self._task = asyncio.create_task(self._speak())

    async def take(self, text: str) -> None:
        """The next text.

        Raises:
            EngineError: it is too long.
        """
        self._taken_characters += len(text)
        if self._taken_characters > _LONGEST_CHARACTERS:
            raise EngineError(f"the text is longer than {_LONGEST_CHARACTERS} characters")
        for clause in self._splitter.feed(text):
            await self._clauses.put(clause)

    async def finish(self) -> None:
        """The text is over: send the rest of the audio.

        Raises:
            VoicebotError: the engine failed.
        """
        for clause in self._splitter.flush():
            await self._clauses.put(clause)
        await self._clauses.end()
        await self._task

    async def drop(self) -> None:
        """Nobody wants it any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _speak(self) -> None:
        rate_hz = self._rules.sample_rate_hz
        try:
            await self._send(AudioStart(rate_hz, _WIDTH_BYTES, 1))
            async for clause in self._clauses.items():
                text = speakable(clause, self._rules.language)
                if text:
                    await self._say(text)
            await self._send(AudioStop())
        finally:
            self._clauses.leave()

    async def _say(self, text: str) -> None:
        rate_hz = self._rules.sample_rate_hz
        async with self._engines.borrowed() as engine:
            chunks = engine.stream(
                lambda tts, stop: tts.synthesise(text, stop), ahead=_CHUNKS_AHEAD
            )
            async with aclosing(chunks):
                async for chunk in chunks:
                    audio = pcm16(chunk.samples)
                    await self._send(AudioChunk(rate_hz, _WIDTH_BYTES, 1, audio=audio))
