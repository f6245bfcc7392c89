"""The bot's answer to one turn, from the soft end on: transcribe, reply, and own up to failures.

It is drafted before the turn is committed. Until then it may be dropped at any moment, unheard and
without a trace; after the commit it is played, and may be silenced in the middle of a word, or held
there and go on later.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, TextPiece, Transcript
from voicebot.errors import VoicebotError, as_expected
from voicebot.events import StageFailed
from voicebot.languages import find_language
from voicebot.reply import Reply, ReplyRules
from voicebot.timeline import Mark, Part, Timeline
from voicebot.turns.evidence import Reading
from voicebot.work_account import WorkAccount, charged_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from voicebot.audio.sinks import AudioSink
    from voicebot.engines.protocols import Message
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.stages import Stages

__all__ = ["Answer"]

_LLM_STAGE = "language model"


class Answer:
    """One answer; ``run`` it in a task, and cancel that task to drop or stop it.

    Args:
        turn: the number of the turn it answers.
        stages: the models.
        sink: the loudspeaker.
        history: what was said before.
        rules: how replies are cut.
        notify: takes the facts as they happen.
        on_read: takes how complete the user's words read, once they are known.
        is_wanted: told what was understood, says whether that is to be answered at all.
        speech_end_s: the estimated end of the user's speech.
        soft_end_s: the instant at which the answer was begun.
        typed: what the user wrote, in place of speech.
        recited: what to say, in place of an answer to anything.
    """

    def __init__(
        self,
        turn: int,
        stages: Stages,
        *,
        sink: AudioSink,
        history: History,
        rules: ReplyRules,
        notify: Callable[[Event], None],
        on_read: Callable[[Reading], None],
        is_wanted: Callable[[str], Awaitable[bool]],
        speech_end_s: float,
        soft_end_s: float,
        typed: str | None = None,
        recited: str | None = None,
    ) -> None:
        self._turn = turn
        self._stages = stages
        self._sink = sink
        self._history = history
        self._rules = rules
        self._language = find_language(rules.language)
        self._notify = notify
        self._on_read = on_read
        self._is_wanted = is_wanted
        self._typed = typed
        self._recited = recited
        self._is_committed = False
        self._gate = asyncio.Event()
        self._is_written = asyncio.Event()
        self._replies: list[Reply] = []
        self._transcript = ""
        self._confidence: float | None = None
        self._failure: str | None = None
        self._is_silenced = False
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._account = WorkAccount()
        self._timeline = Timeline()
        self._timeline.mark(Mark.SPEECH_END, speech_end_s)
        self._timeline.mark(Mark.SOFT_END, soft_end_s)

    @property
    def transcript(self) -> str:
        """What was understood of the turn; empty until it is known."""
        return self._transcript

    @property
    def text(self) -> str:
        """What the bot means to say, as far as it is written."""
        return " ".join(reply.text for reply in self._replies if reply.text)

    @property
    def text_to_hear(self) -> str:
        """As ``text``, without what is not said because the reply ends early."""
        return " ".join(reply.text_to_hear for reply in self._replies if reply.text_to_hear)

    @property
    def tokens(self) -> int:
        """What the language model has spent on it."""
        return sum(reply.tokens for reply in self._replies)

    @property
    def cpu_s(self) -> float:
        """Processor seconds that the engines' threads have spent on it."""
        return self._account.thread_s

    @property
    def failure(self) -> str | None:
        """The line of the error, if a stage failed."""
        return self._failure

    @property
    def timeline(self) -> Timeline:
        """Marks and spans of the first sound."""
        return self._timeline

    @property
    def starts_s(self) -> float | None:
        """The DAC time of its first sample; None until that is known."""
        starts = (reply.starts_s for reply in self._replies)
        return next((start_s for start_s in starts if start_s is not None), None)

    def heard_text(self, until_s: float) -> str:
        """What had been heard of it by ``until_s``, to the word."""
        heard = (reply.heard_text(until_s) for reply in self._replies)
        return " ".join(part for part in heard if part)

    def commit(self, at_s: float, *, after: asyncio.Task[None] | None = None) -> None:
        """The turn is over: the user's words enter the history, the answer may be heard.

        Args:
            at_s: the instant of the decision.
            after: what must have ended before anything is heard, as an earlier reply.
        """
        self._timeline.mark(Mark.COMMIT, at_s)
        self._is_committed = True
        if after is None or after.done():
            self._gate.set()
        else:
            after.add_done_callback(lambda _: self._take_floor())
        if self._transcript:
            self._history.add_user(self._turn, self._transcript)

    def _take_floor(self) -> None:
        self._timeline.mark(Mark.FLOOR_FREE, asyncio.get_running_loop().time())
        self._gate.set()

    async def until_written(self) -> None:
        """Wait until the language model has written all of it, or has failed."""
        await self._is_written.wait()

    def finish_sentence(self) -> None:
        """Say the sentence that is heard now to its end, and nothing after it."""
        for reply in self._replies:
            reply.finish_sentence()

    def silence(self) -> None:
        """From now on nothing more reaches the sink; call it before the task is cancelled."""
        self._is_silenced = True
        for reply in self._replies:
            reply.silence()

    def hold(self) -> None:
        """Nothing reaches the sink until ``resume``; call it before the sink is cleared."""
        self._is_free.clear()
        for reply in self._replies:
            reply.hold()

    def resume(self, silent_from_s: float) -> None:
        """Go on from the start of the word that was cut at ``silent_from_s``."""
        self._is_free.set()
        for reply in self._replies:
            reply.resume(silent_from_s)

    async def run(self) -> None:
        """Draft, wait for the commit, play to the end; a failure is admitted aloud.

        Whether anything was said shows in ``starts_s``. It does not end while it is held.
        """
        try:
            with charged_to(self._account):
                await self._answer()
        except Exception as error:  # noqa: BLE001  # a bug costs a turn, not the conversation
            if self._is_silenced:
                raise asyncio.CancelledError from None
            await self._own_up(as_expected(error, "the answer"))
        finally:
            self._is_written.set()
        await self._is_free.wait()

    async def _answer(self) -> None:
        if self._recited is not None:
            await self._say(_fixed(self._recited))
            return
        transcript = await self._understood()
        self._transcript = transcript.text
        self._confidence = transcript.confidence
        if not await self._is_wanted(self._transcript):
            return
        if not self._transcript:
            self._on_read(Reading("", None))
            await self._gate.wait()
            return
        if self._is_committed:
            self._history.add_user(self._turn, self._transcript)
            messages = self._history.messages()
        else:
            messages = self._history.messages(self._transcript)
        if not (self._rules.drafts or self._is_committed):
            await self._only_read(messages)
            await self._gate.wait()
        asked_s = self._now()
        await self._reply_to(messages)
        if self.starts_s is None:
            self._timeline.span(Part.LLM, asked_s, self._now())
            await self._say(_fixed(self._language.no_answer))

    async def _reply_to(self, messages: Sequence[Message]) -> None:
        try:
            await self._say(self._watched(self._stages.llm.generate(messages)), self._tell_reading)
        except VoicebotError:
            if self.starts_s is not None or not self._stages.fallbacks.has_taken_over(_LLM_STAGE):
                raise
            # It broke off before anything of it was heard, and another model works from now on.
            self._replies.pop()
            self._is_written.clear()
            await self._say(self._watched(self._stages.llm.generate(messages)), self._tell_reading)

    async def _understood(self) -> Transcript:
        if self._typed is not None:
            return Transcript(self._typed, final=True)
        asked_s = self._now()
        try:
            return await self._stages.asr.finish()
        finally:
            self._timeline.span(Part.ASR, asked_s, self._now())

    async def _watched(
        self, pieces: AsyncGenerator[Prefilled | TextPiece, None]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            self._is_written.set()

    async def _only_read(self, messages: Sequence[Message]) -> None:
        async with aclosing(self._stages.llm.generate(messages)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Prefilled):
                    self._tell_reading(piece)
                return

    def _tell_reading(self, prefilled: Prefilled) -> None:
        self._on_read(Reading(self._transcript, prefilled.turn_end_probability, self._confidence))

    async def _own_up(self, error: VoicebotError) -> None:
        self._failure = str(error)
        self._notify(StageFailed(self._turn, error))
        if not await self._is_wanted(self._transcript):
            return
        try:
            await self._say(_fixed(self._language.apology))
        except VoicebotError as second_error:
            self._notify(StageFailed(self._turn, second_error))
            # Until the commit the user may go on, and then it is another answer's turn.
            await self._gate.wait()

    async def _say(
        self,
        pieces: AsyncGenerator[Prefilled | TextPiece, None],
        on_prefilled: Callable[[Prefilled], None] = lambda _: None,
    ) -> None:
        reply = Reply(
            self._turn,
            pieces,
            tts=self._stages.tts,
            sink=self._sink,
            gate=self._gate,
            timeline=self._timeline,
            rules=self._rules,
            notify=self._notify,
            on_prefilled=on_prefilled,
        )
        if not self._is_free.is_set():
            reply.hold()
        self._replies.append(reply)
        await reply.run()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _fixed(text: str) -> AsyncGenerator[Prefilled | TextPiece, None]:
    yield TextPiece(text, tokens=0)
