"""The conversation: listen, draft, commit, hold, yield; and what keys may ask of it.

One loop reads the source, frame by frame, and asks the endpointer. Its decisions start, drop,
open and silence answers; nothing in here waits for a model except the voice activity of the frame
at hand.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.answer import Answer
from voicebot.audio.blocks import AudioBlock, Framer, RecentAudio
from voicebot.errors import VoicebotError, as_expected
from voicebot.events import (
    BargedIn,
    DraftDropped,
    EvidenceWanted,
    Outcome,
    PartialTranscript,
    ReplyFinishing,
    ReplyHeld,
    ReplyRepeated,
    ReplyResumed,
    ReplyStopped,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    StageFailed,
    TextEntered,
    TurnCommitted,
    TurnDismissed,
)
from voicebot.held_reply import HeldReply
from voicebot.reply import ReplyRules
from voicebot.talked_over import TalkedOver
from voicebot.turn import Turn
from voicebot.turns.endpointer import BotState, Decision, Endpointer, EndpointerRules
from voicebot.turns.evidence import Look
from voicebot.turns.interruption import BargeInMode, InterruptionRules, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.stages import Stages
    from voicebot.turns.evidence import Reading

__all__ = ["Session", "SessionRules"]

_VAD_FAILURES_MAX = 50
_RECENT_AUDIO_MARGIN_S = 3.0
_READ_AHEAD_EVERY_S = 0.25  # partial transcripts come ten times a second and are mostly guesses


@dataclass(frozen=True, slots=True)
class SessionRules:
    """The settings of a conversation.

    Attributes:
        endpointer: when turns begin and end.
        interruption: what of the user's speech over the bot makes it yield.
        reply: how replies are cut.
        preroll_ms: audio from before the detected onset that the recogniser is given, since the
            first sounds of speech are softer than what voice activity notices.
        read_ahead: the language model reads partial transcripts while the user still speaks.
        write_ahead_tokens: so much of the reply to it is written, if the words may be finished.
    """

    endpointer: EndpointerRules = field(default_factory=EndpointerRules)
    interruption: InterruptionRules = field(default_factory=InterruptionRules)
    reply: ReplyRules = field(default_factory=ReplyRules)
    preroll_ms: float = 320.0
    read_ahead: bool = True
    write_ahead_tokens: int = 0


class Session:
    """One conversation between a source, a sink and the stages.

    Args:
        source: the user's audio.
        sink: the bot's.
        stages: the models.
        history: what was said before; the session adds to it.
        rules: the settings.
        notify: takes every fact, on the loop; must not block.
    """

    def __init__(
        self,
        source: AudioSource,
        sink: AudioSink,
        stages: Stages,
        *,
        history: History,
        rules: SessionRules,
        notify: Callable[[Event], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._stages = stages
        self._history = history
        self._rules = rules
        self._notify = notify
        self._endpointer = Endpointer(rules.endpointer)
        self._framer = Framer(stages.vad.frame_samples)
        self._recent = RecentAudio(stages.turn_detector.window_s + _RECENT_AUDIO_MARGIN_S)
        self._turn: Turn | None = None
        self._held_reply: HeldReply | None = None
        self._talked_over: TalkedOver | None = None
        self._last_said: tuple[int, str] | None = None  # the turn it answered, and the reply
        self._unfed: list[AudioBlock] = []  # silence after a soft end, fed only if speech resumes
        self._vad_failures = 0
        self._read_ahead_from_s = float("-inf")
        self._ending_to_judge: int | None = None
        self._is_judging = False
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no turn is open and no answer is under way."""
        return not self._endpointer.is_open and (self._turn is None or self._turn.is_closed)

    async def run(self) -> None:
        """Converse until the source ends and the last answer has been played.

        Raises:
            EngineError: voice activity failed for good; no other stage's failure ends a session.
            DeviceError: the source's or sink's device failed.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    with self._stages.fallbacks.told_to(self._notify, loop):
                        await self._listen()
                        await self._see_last_turn_through()
                except BaseException:
                    for turn in self._turns_under_way():
                        self._silence(turn)
                    raise
        except* VoicebotError as errors:
            raise errors.exceptions[0] from None
        finally:
            for turn in self._turns_under_way():
                self._close_silenced(turn, self._silence(turn))

    # What may be asked of it, on the loop and while it runs.

    @property
    def bot(self) -> BotState:
        """What the bot is doing."""
        over = self._talked_over
        is_over = over is not None and not over.turn.is_closed
        return BotState.AUDIBLE if is_over else self._bot_state()

    def heard_so_far(self) -> tuple[int, str]:
        """The turn whose reply is heard now, and what has been heard of it; 0 without one."""
        over = self._talked_over
        turn = over.turn if over is not None and not over.turn.is_closed else self._turn
        if turn is None or turn.is_closed or turn.answer is None or turn.answer.starts_s is None:
            return 0, ""
        return turn.number, turn.answer.heard_text(self._now())

    def stop(self) -> bool:
        """Silence the reply that is made or heard; whether there was one."""
        committed = [turn for turn in self._turns_under_way() if turn.is_committed]
        self._held_reply = self._talked_over = None
        for turn in committed:
            silent_from_s = self._silence(turn)
            self._notify(ReplyStopped(turn.number, silent_from_s))
            self._close_silenced(turn, silent_from_s)
        return bool(committed)

    def answer_text(self, text: str) -> int | None:
        """Answer a written line aloud, as if it had been said; gives its turn, None if it is empty.

        It interrupts the bot, and takes the place of speech that is not over yet.
        """
        text = " ".join(text.split())
        if not text:
            return None
        turn = self._begin_asked_for(is_typed=True)
        self._notify(TextEntered(turn.number, turn.speech_start_s, text))
        self._begin_reply(turn, typed=text)
        return turn.number

    def repeat(self) -> int | None:
        """Say the last reply again from its start; gives the turn of that, None without one."""
        turn = self._turn
        if turn is not None and turn.answer is not None and turn.was_audible(self._now()):
            self._last_said = (turn.repeats or turn.number, turn.answer.text)
        if self._last_said is None:
            return None
        repeats, text = self._last_said
        turn = self._begin_asked_for(repeats=repeats)
        self._notify(ReplyRepeated(turn.number, repeats))
        self._begin_reply(turn, recited=text)
        return turn.number

    def announce(self, text: str) -> int | None:
        """Say ``text`` as it stands; gives its turn, None if it is empty.

        It interrupts as ``answer_text`` does. It belongs to no exchange: the history lacks it.
        """
        text = " ".join(text.split())
        if not text:
            return None
        turn = self._begin_asked_for(repeats=0)
        self._notify(ReplyRepeated(turn.number, 0))
        self._begin_reply(turn, recited=text)
        return turn.number

    def hold_turn_open(self) -> None:
        """However long the user is silent from now on, only ``end_turn`` ends a turn."""
        self._endpointer.is_held_open = True

    def end_turn(self) -> None:
        """The user says that their turn is over: it is answered without any wait."""
        self._endpointer.is_held_open = False
        self._act(self._endpointer.end_turn())

    def _begin_asked_for(self, *, is_typed: bool = False, repeats: int | None = None) -> Turn:
        self.stop()
        if self._endpointer.is_open:
            self._drop_draft(self._open_turn())
            self._close(self._open_turn(), Outcome.DISMISSED)
            self._endpointer.withdraw()
        self._unfed = []
        number, now_s = self._endpointer.number_turn(), self._now()
        turn = Turn(number, now_s, now_s, now_s, True, is_typed=is_typed, repeats=repeats)  # noqa: FBT003  # committed
        self._turn = turn
        return turn

    def _begin_reply(
        self, turn: Turn, *, typed: str | None = None, recited: str | None = None
    ) -> None:
        now_s = turn.speech_start_s
        turn.answer = self._new_answer(
            turn, now_s, on_read=lambda _: None, typed=typed, recited=recited
        )
        turn.answer.commit(now_s)
        turn.task = self._running().create_task(self._see_through(turn, turn.answer))

    async def _listen(self) -> None:
        self._stages.vad.reset()
        async for block in self._source.blocks():
            self._recent.push(block)
            if self._endpointer.is_speaking:
                self._stages.asr.feed(block.samples)
            elif self._turn is not None and not self._turn.is_closed:
                self._unfed.append(block)
            for frame in self._framer.push(block):
                probability = await self._speech_probability(frame)
                self._act(
                    self._endpointer.observe_frame(
                        frame.start_s, frame.end_s, probability, self._bot_state()
                    )
                )
                self._weigh_intrusion()
        self._act(self._endpointer.end_of_stream())

    async def _see_last_turn_through(self) -> None:
        # A reply that was held may go on when the turn that held it is over.
        while (turn := self._turn) and turn.task is not None and not turn.task.done():
            await asyncio.wait({turn.task})

    async def _speech_probability(self, frame: AudioBlock) -> float:
        try:
            probability = await self._stages.vad.probability(frame.samples)
        except Exception as error:
            self._vad_failures += 1
            if self._vad_failures == 1:
                failure = as_expected(error, "voice activity")
                self._notify(StageFailed(self._endpointer.turn, failure))
            if self._vad_failures >= _VAD_FAILURES_MAX:
                raise
            return 0.0
        self._vad_failures = 0
        return probability

    def _bot_state(self) -> BotState:
        turn = self._turn
        if turn is None or turn.is_closed or not turn.is_committed or turn.answer is None:
            return BotState.SILENT
        starts_s = turn.answer.starts_s
        if starts_s is None or starts_s > self._now():
            return BotState.PENDING
        return BotState.AUDIBLE

    def _act(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            self._notify(decision)
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
        turn = Turn(started.turn, started.speech_start_s, started.speech_start_s)
        bot = self._bot_state()
        self._turn = turn
        if self._held_reply is not None and started.continues is None:
            self._yield(self._held_reply)
        interrupted = previous if previous is not None and not previous.is_closed else None
        taken_up = interrupted if started.continues is not None else None
        if interrupted is not None:
            is_kept = bot is BotState.AUDIBLE or interrupted.is_asked_for
            if is_kept and interrupted.answer and self._plays_on(started):
                onset_s = started.speech_start_s
                self._talked_over = TalkedOver(interrupted, interrupted.answer, onset_s)
                taken_up = None
            elif is_kept and interrupted.answer:
                self._hold(interrupted, interrupted.answer, started)
            else:
                silent_from_s = self._silence(interrupted)
                if interrupted.was_audible(silent_from_s):
                    onset_s = started.speech_start_s
                    self._notify(BargedIn(interrupted.number, onset_s, silent_from_s))
                self._close_silenced(interrupted, silent_from_s, is_taken_up=taken_up is not None)
        self._recognise(turn, started, taken_up)

    def _recognise(self, turn: Turn, started: SpeechStarted, taken_up: Turn | None) -> None:
        """Let the recogniser begin anew, or go on where a turn that is taken up left it."""
        if taken_up is not None:
            turn.audio_start_s = taken_up.audio_start_s
            self._feed_unfed()
            return
        self._unfed = []
        self._stages.asr.start(self._tell_partial)
        self._read_ahead()
        preroll_s = self._rules.preroll_ms / 1000.0
        self._stages.asr.feed(self._recent.since(started.speech_start_s - preroll_s))

    def _soft_end(self, ended: SpeechEnded) -> None:
        turn = self._open_turn()
        turn.speech_end_s = ended.speech_end_s
        turn.drafts_started += 1
        turn.answer = self._new_answer(
            turn,
            ended.speech_end_s,
            on_read=lambda reading: self._observe_reading(ended.ending, reading),
        )
        turn.task = self._running().create_task(self._see_through(turn, turn.answer))
        self._judge(ended.ending)

    def _new_answer(
        self,
        turn: Turn,
        speech_end_s: float,
        *,
        on_read: Callable[[Reading], None],
        typed: str | None = None,
        recited: str | None = None,
    ) -> Answer:
        return Answer(
            turn.number,
            self._stages,
            sink=self._sink,
            history=self._history,
            rules=self._rules.reply,
            notify=self._notify,
            on_read=on_read,
            is_wanted=lambda transcript: self._is_wanted(turn, transcript),
            speech_end_s=speech_end_s,
            soft_end_s=self._now(),
            typed=typed,
            recited=recited,
        )

    def _resume(self) -> None:
        self._drop_draft(self._open_turn())
        self._feed_unfed()

    def _commit(self, committed: TurnCommitted) -> None:
        turn = self._open_turn()
        turn.is_committed = True
        turn.speech_end_s = committed.speech_end_s
        if turn.answer is not None:
            over = self._talked_over
            turn.answer.commit(self._now(), after=over.turn.task if over is not None else None)

    def _dismiss(self) -> None:
        if self._held_reply is not None:
            self._go_on(self._held_reply)
            return
        turn = self._open_turn()
        self._drop_draft(turn)
        self._close(turn, Outcome.DISMISSED)
        if self._talked_over is not None:
            self._turn = self._talked_over.turn
            self._talked_over = None

    def _silence(self, turn: Turn) -> float:
        """Yield: the sink first, then the engines; gives the end of the bot's sound."""
        if turn.answer is not None:
            turn.answer.silence()
        over = self._talked_over
        is_other_heard = over is not None and over.turn is not turn and not over.turn.is_closed
        silent_from_s = self._now() if is_other_heard else self._sink.clear()
        if turn.task is not None:
            turn.task.cancel()
        return silent_from_s

    def _drop_draft(self, turn: Turn) -> None:
        if turn.task is None or turn.answer is None:
            return
        turn.answer.silence()
        turn.task.cancel()
        turn.count_discarded()
        self._notify(DraftDropped(turn.number, turn.answer.tokens))
        turn.task = turn.answer = None

    def _feed_unfed(self) -> None:
        for block in self._unfed:
            self._stages.asr.feed(block.samples)
        self._unfed = []

    def _tell_partial(self, text: str) -> None:
        turn = self._open_turn()
        if not turn.is_closed and not turn.is_committed:
            self._notify(PartialTranscript(turn.number, text))
            self._read_ahead(text)
            self._weigh_intrusion(text)

    def _read_ahead(self, text: str | None = None) -> None:
        if not self._rules.read_ahead or (text and self._now() < self._read_ahead_from_s):
            return
        self._read_ahead_from_s = self._now() + _READ_AHEAD_EVERY_S
        # What is wrong with the conversation shows again, as an error, when it is answered.
        with suppress(Exception):
            self._stages.llm.prepare(
                self._history.messages(text), write_tokens=self._rules.write_ahead_tokens
            )

    # Speech over the bot.

    def _hold(self, turn: Turn, answer: Answer, started: SpeechStarted) -> None:
        """Fall silent at once; whether the reply goes on is decided when more is known."""
        held = HeldReply.hold(turn, answer, self._sink, started)
        self._held_reply = held
        self._notify(ReplyHeld(turn.number, held.onset_s, held.silent_from_s))

    def _weigh_intrusion(self, words: str = "", *, is_over: bool = False) -> Verdict | None:
        """Decide on a held reply if that can be done; None if none is held."""
        self._weigh_talking_over(words)
        held = self._held_reply
        if held is None:
            return None
        verdict = self._verdict(held, words, is_over=is_over)
        if verdict is Verdict.YIELD:
            self._yield(held)
        elif verdict is Verdict.GO_ON:
            self._go_on(held)
        return verdict

    def _verdict(self, held: HeldReply | TalkedOver, words: str, *, is_over: bool) -> Verdict:
        rules = self._rules.interruption
        return held.weigh(self._endpointer.speech_end_s, words, is_over=is_over, rules=rules)

    async def _is_wanted(self, turn: Turn, transcript: str) -> bool:
        """Whether what the user said in ``turn`` is to be answered."""
        if turn is not self._turn:
            return True  # a reply that was spoken over asks, in order to own up to a failure
        if self._talked_over is not None:
            return await self._is_meant(self._talked_over, transcript)
        held = self._held_reply
        if held is None:
            return True
        if self._verdict(held, transcript, is_over=True) is Verdict.GO_ON:
            silent_s = self._rules.interruption.go_on_silence_ms / 1000.0
            await asyncio.sleep(self._endpointer.speech_end_s + silent_s - self._now())
        return self._weigh_intrusion(transcript, is_over=True) is not Verdict.GO_ON

    def _yield(self, held: HeldReply) -> None:
        self._held_reply = None
        self._silence(held.turn)
        self._notify(BargedIn(held.turn.number, held.onset_s, held.silent_from_s))
        self._close_silenced(held.turn, held.silent_from_s, is_taken_up=held.is_taken_up)

    def _go_on(self, held: HeldReply) -> None:
        """The speech wants no answer: the reply goes on, and the turn under way was none."""
        self._held_reply = None
        answer = self._open_turn().answer
        self._ignore_intruder(held.new_words(answer.transcript) if answer else "", held.turn)
        held.go_on()
        self._notify(ReplyResumed(held.turn.number, self._now()))

    def _ignore_intruder(self, words: str, spoken_over: Turn) -> None:
        intruder = self._open_turn()
        intruder.count_discarded()
        self._close(intruder, Outcome.ACKNOWLEDGED if words else Outcome.DISMISSED)
        self._endpointer.withdraw()
        self._unfed = []
        self._turn = spoken_over

    # Speech over a bot that plays on.

    def _plays_on(self, started: SpeechStarted) -> bool:
        """Whether the reply is not held; to go on with one's own sentence is no interruption."""
        mode = self._rules.interruption.mode
        return mode is BargeInMode.NEVER or (
            mode is BargeInMode.FINISH_SENTENCE and started.continues is None
        )

    def _weigh_talking_over(self, words: str) -> None:
        over = self._talked_over
        if over is None or over.is_meant:
            return
        if self._verdict(over, words, is_over=False) is Verdict.YIELD:
            self._mean(over)

    async def _is_meant(self, over: TalkedOver, transcript: str) -> bool:
        """Whether what was said over a reply is to be answered; waits until that is written."""
        if not over.is_meant:
            if self._verdict(over, transcript, is_over=True) is Verdict.GO_ON:
                silent_s = self._rules.interruption.go_on_silence_ms / 1000.0
                await asyncio.sleep(self._endpointer.speech_end_s + silent_s - self._now())
                if self._talked_over is over:
                    self._talked_over = None
                self._ignore_intruder(transcript, over.turn)
                return False
            self._mean(over)
        await over.answer.until_written()
        if not over.turn.is_closed:  # what will have been heard, for the language model's eyes
            self._history.set_heard(over.turn.number, over.answer.text_to_hear)
        return True

    def _mean(self, over: TalkedOver) -> None:
        over.is_meant = True
        if over.turn.is_closed:
            self._talked_over = None
        elif self._rules.interruption.mode is BargeInMode.FINISH_SENTENCE:
            over.answer.finish_sentence()
            self._notify(ReplyFinishing(over.turn.number, self._now()))

    def _turns_under_way(self) -> list[Turn]:
        held = self._held_reply or self._talked_over
        turns = [held.turn if held is not None else None, self._turn]
        return [turn for turn in turns if turn is not None and not turn.is_closed]

    # Evidence.

    def _judge(self, ending: int) -> None:
        """Look at how the turn sounds; one look at a time, the newest ending next."""
        self._ending_to_judge = ending
        if not self._is_judging:
            self._is_judging = True
            self._running().create_task(self._judge_endings())

    async def _judge_endings(self) -> None:
        while (ending := self._ending_to_judge) is not None:
            self._ending_to_judge = None
            await self._observe_completion(ending)
        self._is_judging = False

    async def _observe_completion(self, ending: int) -> None:
        turn = self._open_turn()
        detector = self._stages.turn_detector
        preroll_s = self._rules.preroll_ms / 1000.0
        window_s = min(detector.window_s, self._rules.endpointer.waiting.look_window_s)
        since_s = max(self._recent.end_s - window_s, turn.audio_start_s - preroll_s)
        silence_ms = (self._recent.end_s - (turn.speech_end_s or self._recent.end_s)) * 1000.0
        try:
            probability = await detector.completion(self._recent.since(since_s))
        except Exception as error:  # noqa: BLE001  # the other evidence decides
            self._notify(StageFailed(turn.number, as_expected(error, "turn completeness")))
            return
        self._act(self._endpointer.observe_completion(ending, Look(silence_ms, probability)))

    def _observe_reading(self, ending: int, reading: Reading) -> None:
        self._act(self._endpointer.observe_reading(ending, reading))

    # How turns end.

    async def _see_through(self, turn: Turn, answer: Answer) -> None:
        await answer.run()
        said_something = answer.starts_s is not None
        over = self._talked_over
        if over is not None and over.turn is turn and over.is_meant:
            self._talked_over = None
            if answer.text_to_hear != answer.text:
                self._notify(BargedIn(turn.number, over.onset_s, self._sink.ends_s))
        self._close(turn, Outcome.ANSWERED if said_something else Outcome.DISMISSED)

    def _close_silenced(
        self, turn: Turn, silent_from_s: float, *, is_taken_up: bool = False
    ) -> None:
        heard = turn.was_audible(silent_from_s)
        outcome = Outcome.ANSWERED if heard else Outcome.DISMISSED
        if is_taken_up:
            outcome = Outcome.MERGED
        self._close(turn, outcome, heard_until_s=silent_from_s)

    def _close(self, turn: Turn, outcome: Outcome, *, heard_until_s: float = float("inf")) -> None:
        if turn.is_closed:
            return
        turn.is_closed = True
        if outcome is Outcome.MERGED:
            turn.count_discarded()
        if turn.repeats is not None and outcome is Outcome.ANSWERED:
            outcome = Outcome.REPEATED
        facts = turn.facts(outcome, heard_until_s)
        if outcome is Outcome.ANSWERED:
            self._history.set_heard(turn.number, facts.heard)
            self._last_said = (turn.number, facts.reply)
        elif turn.repeats is not None:
            self._history.lengthen_heard(turn.repeats, facts.heard)
        elif not turn.is_typed:  # what was written was meant, answered or not
            self._history.withdraw(turn.number)
        if outcome is not Outcome.MERGED and turn.number == self._endpointer.turn:
            self._endpointer.close_merge_window()
        self._notify(facts)

    # Small things.

    def _open_turn(self) -> Turn:
        assert self._turn is not None  # noqa: S101  # the endpointer opens a turn before all else
        return self._turn

    def _running(self) -> asyncio.TaskGroup:
        assert self._tasks is not None  # noqa: S101  # only asked while running
        return self._tasks

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
