"""The conversation: listen, draft, commit, yield.

One loop reads the source, frame by frame, and asks the endpointer. Its decisions start, drop,
open and silence replies; nothing in here waits for a model except the voice activity of the frame
at hand.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voicebot.audio.blocks import AudioBlock, Framer, RecentAudio
from voicebot.engines.protocols import TextPiece
from voicebot.errors import VoicebotError
from voicebot.events import (
    BargedIn,
    DraftDropped,
    EvidenceWanted,
    Outcome,
    PartialTranscript,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    StageFailed,
    TurnClosed,
    TurnCommitted,
    TurnDismissed,
)
from voicebot.reply import Reply, ReplyRules
from voicebot.timeline import Mark, Stage, Timeline
from voicebot.turns.endpointer import BotState, Decision, Endpointer, EndpointerRules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.engines.protocols import Prefilled
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.stages import Stages

__all__ = ["Session", "SessionRules"]

_APOLOGY = "Sorry, something went wrong. Please say that again."
_NO_ANSWER = "Sorry, I have no answer to that."
_VAD_FAILURES_MAX = 50
_RECENT_AUDIO_MARGIN_S = 3.0


@dataclass(frozen=True, slots=True)
class SessionRules:
    """The settings of a conversation.

    Attributes:
        endpointer: when turns begin and end.
        reply: how replies are cut.
        preroll_ms: audio from before the detected onset that the recogniser is given, since the
            first sounds of speech are softer than what voice activity notices.
    """

    endpointer: EndpointerRules = field(default_factory=EndpointerRules)
    reply: ReplyRules = field(default_factory=ReplyRules)
    preroll_ms: float = 320.0


@dataclass(slots=True)
class _Turn:
    """The state of one turn of the user."""

    number: int
    speech_start_s: float
    audio_start_s: float  # earlier than its speech if it takes up a merged turn
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    speech_end_s: float | None = None
    soft_end_s: float | None = None
    commit_s: float | None = None
    transcript: str = ""
    timeline: Timeline = field(default_factory=Timeline)
    reply: Reply | None = None
    task: asyncio.Task[None] | None = None
    drafts_started: int = 0
    drafts_discarded: int = 0
    discarded_tokens: int = 0
    failure: str | None = None
    is_closed: bool = False


class Session:
    """One conversation between a source, a sink and the stages.

    Args:
        source: the user's audio.
        sink: the bot's.
        stages: the models.
        history: what was said before; the session adds to it.
        rules: the settings.
        observe: takes every fact, on the loop; must not block.
    """

    def __init__(
        self,
        source: AudioSource,
        sink: AudioSink,
        stages: Stages,
        *,
        history: History,
        rules: SessionRules,
        observe: Callable[[Event], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._stages = stages
        self._history = history
        self._rules = rules
        self._observe = observe
        self._endpointer = Endpointer(rules.endpointer)
        self._framer = Framer(stages.vad.frame_samples)
        self._recent = RecentAudio(stages.turn_detector.window_s + _RECENT_AUDIO_MARGIN_S)
        self._turn: _Turn | None = None
        self._held: list[AudioBlock] = []  # silence after a soft end, fed only if speech resumes
        self._vad_failures = 0
        self._judging: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no turn is open and no reply is under way."""
        return not self._endpointer.is_open and (self._turn is None or self._turn.is_closed)

    async def run(self) -> None:
        """Converse until the source ends and the last reply has been played.

        Raises:
            EngineError: voice activity failed for good; no other stage's failure ends a session.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._listen()
        except* VoicebotError as errors:
            raise errors.exceptions[0] from None
        finally:
            self._sink.clear()

    async def _listen(self) -> None:
        async for block in self._source.blocks():
            self._recent.push(block)
            if self._endpointer.is_speaking:
                self._stages.asr.feed(block.samples)
            elif self._turn is not None and not self._turn.is_closed:
                self._held.append(block)
            for frame in self._framer.push(block):
                probability = await self._speech_probability(frame)
                self._act(
                    self._endpointer.observe_frame(
                        frame.start_s, frame.end_s, probability, self._bot_state()
                    )
                )
        self._act(self._endpointer.end_of_stream())

    async def _speech_probability(self, frame: AudioBlock) -> float:
        try:
            probability = await self._stages.vad.probability(frame.samples)
        except VoicebotError as error:
            self._vad_failures += 1
            if self._vad_failures == 1:
                self._observe(StageFailed(self._endpointer.turn, error))
            if self._vad_failures >= _VAD_FAILURES_MAX:
                raise
            return 0.0
        self._vad_failures = 0
        return probability

    def _bot_state(self) -> BotState:
        turn = self._turn
        if turn is None or turn.is_closed or turn.commit_s is None:
            return BotState.SILENT
        starts_s = turn.reply.starts_s if turn.reply is not None else None
        if starts_s is None or starts_s > self._now():
            return BotState.PENDING
        return BotState.AUDIBLE

    def _act(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            self._observe(decision)
            match decision:
                case SpeechStarted():
                    self._begin_turn(decision)
                case SpeechEnded():
                    self._soft_end(decision)
                case EvidenceWanted(ending=ending):
                    self._judge(ending)
                case SpeechResumed():
                    self._resume()
                case TurnCommitted():
                    self._commit(decision)
                case TurnDismissed():
                    self._dismiss()

    # What the decisions lead to.

    def _begin_turn(self, started: SpeechStarted) -> None:
        previous = self._turn
        turn = _Turn(started.turn, started.speech_start_s, started.speech_start_s)
        self._turn = turn
        if previous is not None and not previous.is_closed:
            self._silence(previous, started)
            if started.continues is not None:
                turn.audio_start_s = previous.audio_start_s
                self._feed_held()
                return
        self._held = []
        self._stages.asr.start(lambda text: self._observe(PartialTranscript(turn.number, text)))
        preroll_s = self._rules.preroll_ms / 1000.0
        self._stages.asr.feed(self._recent.since(started.speech_start_s - preroll_s))

    def _silence(self, previous: _Turn, started: SpeechStarted) -> None:
        """Yield: the sink first, then the engines, then the books."""
        silent_from_s = self._sink.clear()
        if previous.task is not None:
            previous.task.cancel()
        was_audible = (
            previous.reply is not None
            and previous.reply.starts_s is not None
            and previous.reply.starts_s < silent_from_s
        )
        if was_audible:
            self._observe(BargedIn(previous.number, started.speech_start_s, silent_from_s))
        if started.continues is not None:
            self._history.withdraw(previous.number)
            self._close(previous, Outcome.MERGED, heard_until_s=silent_from_s)
        elif was_audible:
            self._close(previous, Outcome.ANSWERED, heard_until_s=silent_from_s)
        else:
            self._close(previous, Outcome.DISMISSED, heard_until_s=silent_from_s)

    def _soft_end(self, ended: SpeechEnded) -> None:
        turn = self._open_turn()
        turn.speech_end_s = ended.speech_end_s
        turn.soft_end_s = self._now()
        turn.drafts_started += 1
        turn.timeline = Timeline()
        turn.timeline.mark(Mark.SPEECH_END, ended.speech_end_s)
        turn.timeline.mark(Mark.SOFT_END, turn.soft_end_s)
        turn.task = self._spawn(self._answer(turn, ended.ending))
        self._judge(ended.ending)

    def _resume(self) -> None:
        turn = self._open_turn()
        self._drop_draft(turn)
        self._feed_held()

    def _commit(self, committed: TurnCommitted) -> None:
        turn = self._open_turn()
        turn.commit_s = self._now()
        turn.speech_end_s = committed.speech_end_s
        turn.timeline.mark(Mark.COMMIT, turn.commit_s)
        turn.gate.set()
        if turn.transcript:
            self._history.add_user(turn.number, turn.transcript)

    def _dismiss(self) -> None:
        turn = self._open_turn()
        self._drop_draft(turn)
        self._close(turn, Outcome.DISMISSED)

    def _drop_draft(self, turn: _Turn) -> None:
        if turn.task is None:
            return
        turn.task.cancel()
        turn.task = None
        tokens = turn.reply.tokens if turn.reply is not None else 0
        turn.reply = None
        turn.transcript = ""
        turn.drafts_discarded += 1
        turn.discarded_tokens += tokens
        self._observe(DraftDropped(turn.number, tokens))

    def _feed_held(self) -> None:
        for block in self._held:
            self._stages.asr.feed(block.samples)
        self._held = []

    # Evidence.

    def _judge(self, ending: int) -> None:
        if self._judging is None or self._judging.done():
            self._judging = self._spawn(self._observe_completion(ending))

    async def _observe_completion(self, ending: int) -> None:
        turn = self._open_turn()
        detector = self._stages.turn_detector
        preroll_s = self._rules.preroll_ms / 1000.0
        since_s = max(self._now() - detector.window_s, turn.audio_start_s - preroll_s)
        try:
            probability = await detector.completion(self._recent.since(since_s))
        except VoicebotError as error:
            self._observe(StageFailed(turn.number, error))
            return
        self._act(self._endpointer.observe_completion(ending, probability))

    def _observe_prefilled(self, ending: int, prefilled: Prefilled) -> None:
        if prefilled.turn_end_probability is not None:
            self._act(self._endpointer.observe_transcript(ending, prefilled.turn_end_probability))

    # The reply.

    async def _answer(self, turn: _Turn, ending: int) -> None:
        """Draft, wait for the commit, play; on failure say so aloud."""
        try:
            asked_s = self._now()
            transcript = await self._stages.asr.finish()
            turn.timeline.span(Stage.ASR, asked_s, self._now())
            if not transcript.text:
                await turn.gate.wait()
                self._close(turn, Outcome.DISMISSED)
                return
            turn.transcript = transcript.text
            if turn.gate.is_set():
                self._history.add_user(turn.number, turn.transcript)
            messages = self._history.messages()
            if not turn.gate.is_set():
                messages = self._history.messages(turn.transcript)
            turn.reply = self._reply(turn, self._stages.llm.generate(messages), ending)
            await turn.reply.run()
            if turn.reply.starts_s is None:
                await self._say(turn, _NO_ANSWER)
        except VoicebotError as error:
            await self._fail(turn, error)
            return
        self._close(turn, Outcome.ANSWERED)

    async def _fail(self, turn: _Turn, error: VoicebotError) -> None:
        turn.failure = str(error)
        self._observe(StageFailed(turn.number, error))
        await turn.gate.wait()
        try:
            await self._say(turn, _APOLOGY)
        except VoicebotError as second_error:
            self._observe(StageFailed(turn.number, second_error))
            self._close(turn, Outcome.DISMISSED)
            return
        self._close(turn, Outcome.ANSWERED)

    async def _say(self, turn: _Turn, text: str) -> None:
        turn.reply = self._reply(turn, _fixed(text), ending=None)
        await turn.reply.run()

    def _reply(
        self,
        turn: _Turn,
        pieces: AsyncGenerator[Prefilled | TextPiece, None],
        ending: int | None,
    ) -> Reply:
        def on_prefilled(prefilled: Prefilled) -> None:
            if ending is not None:
                self._observe_prefilled(ending, prefilled)

        return Reply(
            turn.number,
            pieces,
            tts=self._stages.tts,
            sink=self._sink,
            gate=turn.gate,
            timeline=turn.timeline,
            rules=self._rules.reply,
            notify=self._observe,
            on_prefilled=on_prefilled,
        )

    def _close(self, turn: _Turn, outcome: Outcome, *, heard_until_s: float = float("inf")) -> None:
        if turn.is_closed:
            return
        turn.is_closed = True
        reply_text, heard = "", ""
        if turn.reply is not None:
            reply_text = turn.reply.text
            heard = turn.reply.heard_text(heard_until_s)
        if outcome is Outcome.ANSWERED:
            self._history.set_heard(turn.number, heard)
            self._endpointer.close_merge_window()
        elif outcome is Outcome.DISMISSED:
            self._history.withdraw(turn.number)
        self._observe(
            TurnClosed(
                turn=turn.number,
                outcome=outcome,
                transcript=turn.transcript,
                reply=reply_text,
                heard=heard,
                speech_start_s=turn.speech_start_s,
                speech_end_s=turn.speech_end_s,
                timeline=turn.timeline.copy(),
                drafts_started=turn.drafts_started,
                drafts_discarded=turn.drafts_discarded,
                discarded_tokens=turn.discarded_tokens,
                failure=turn.failure,
            )
        )

    # Small things.

    def _open_turn(self) -> _Turn:
        assert self._turn is not None  # noqa: S101  # the endpointer opens a turn before all else
        return self._turn

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None  # noqa: S101  # only called while running
        return self._tasks.create_task(work)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _fixed(text: str) -> AsyncGenerator[Prefilled | TextPiece, None]:
    yield TextPiece(text, tokens=0)
