"""The endpointer: when has the user begun, paused, gone on, finished?

A pure state machine. Evidence goes in (speech probability frame by frame, and now and then how
complete the turn sounds and reads), decisions come out as facts of ``events.py``. Time is the
time of the audio: the end of each frame on the session's clock. It knows nothing of models, tasks
or sound devices.

The wait before a commit depends on the evidence, by the rule in force (``waits.py``): short when
the turn is surely complete, patient when it is not. As long as speech goes on there is no commit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from voicebot.events import (
    CommitReason,
    EvidenceWanted,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnCommitted,
    TurnDismissed,
)
from voicebot.turns.evidence import Look, Reading, TurnEvidence
from voicebot.turns.waits import PlainWait, Wait

if TYPE_CHECKING:
    from voicebot.turns.waits import WaitRule

__all__ = ["BotState", "Decision", "Endpointer", "EndpointerRules"]

_PAUSES_REMEMBERED = 32

Decision: TypeAlias = (
    SpeechStarted | SpeechEnded | EvidenceWanted | SpeechResumed | TurnCommitted | TurnDismissed
)


@dataclass(frozen=True, slots=True)
class EndpointerRules:
    """The endpointer's settings; ``docs/configuration.md`` explains each.

    Attributes:
        speech_threshold: a frame at or above it is speech.
        silence_threshold: a frame below it is silence; between the two, what was goes on.
        onset_ms: speech must last this long to count as begun or resumed.
        barge_in_ms: the same while the bot can be heard; it then holds its reply.
        min_speech_ms: a turn with less speech in it is dismissed as noise.
        soft_end_ms: silence after which a reply may be drafted.
        waiting: how much silence ends a turn, by the evidence.
        merge_window_ms: who speaks on within this time of their last words takes up their turn.
        max_turn_s: after this much, the first pause of the rule's shortest wait ends the turn.
    """

    speech_threshold: float = 0.5
    silence_threshold: float = 0.35
    onset_ms: float = 64.0
    barge_in_ms: float = 64.0
    min_speech_ms: float = 100.0
    soft_end_ms: float = 64.0
    waiting: WaitRule = field(default_factory=PlainWait)
    merge_window_ms: float = 1500.0
    max_turn_s: float = 60.0


class BotState(Enum):
    """What the bot is doing as the user may speak."""

    SILENT = "silent"
    PENDING = "pending"  # a committed turn waits for its first sound
    AUDIBLE = "audible"


class _State(Enum):
    QUIET = "quiet"
    SPEAKING = "speaking"
    ENDING = "ending"


class Endpointer:
    """Evidence in, decisions out.

    Args:
        rules: its settings.
    """

    def __init__(self, rules: EndpointerRules) -> None:
        self._rules = rules
        self._state = _State.QUIET
        self._now_s = float("-inf")
        self._turn = 0
        self._ending = 0
        self._turn_start_s = 0.0
        self._speech_ms = 0.0
        self._speech_end_s = 0.0
        self._in_speech = False  # the last frame, with hysteresis
        self._run_start_s: float | None = None  # where the present run of speech frames began
        self._looks: tuple[Look, ...] = ()
        self._reading: Reading | None = None
        self._earlier_pauses = 0
        self._pauses_ms: deque[float] = deque(maxlen=_PAUSES_REMEMBERED)
        self._next_look_ms = 0.0
        self._mergeable_turn: int | None = None
        self.is_held_open = False
        """Whether nothing commits the turn, however long the silence, but ``end_turn``."""

    @property
    def turn(self) -> int:
        """The number of the latest turn; 0 before the first."""
        return self._turn

    @property
    def is_open(self) -> bool:
        """Whether a turn has begun and is not yet committed or dismissed."""
        return self._state is not _State.QUIET

    @property
    def is_speaking(self) -> bool:
        """Whether the open turn is in speech, not in the silence after a soft end."""
        return self._state is _State.SPEAKING

    @property
    def speech_end_s(self) -> float:
        """The end of the latest speech of the latest turn."""
        return self._speech_end_s

    def observe_frame(
        self, start_s: float, end_s: float, probability: float, bot: BotState = BotState.SILENT
    ) -> list[Decision]:
        """Take one frame's speech probability.

        Args:
            start_s: the frame's first instant; not before the end of the last frame.
            end_s: its last instant.
            probability: 0 to 1.
            bot: while it is audible, speech must last longer to count; while its reply is
                pending, whatever the user says belongs to the turn it is pending for.

        Raises:
            ValueError: time would go back.
        """
        if start_s < self._now_s - 1e-6 or end_s < start_s:
            raise ValueError(f"frame {start_s}..{end_s} s comes after {self._now_s} s")
        self._now_s = end_s
        threshold = (
            self._rules.silence_threshold if self._in_speech else self._rules.speech_threshold
        )
        self._in_speech = probability >= threshold
        if self._in_speech:
            if self._run_start_s is None:
                self._run_start_s = start_s
            return self._hear_speech(end_s, bot)
        self._run_start_s = None
        return self._hear_silence(end_s)

    def observe_completion(self, ending: int, look: Look) -> list[Decision]:
        """Take how complete the turn sounds at its ``ending``; stale evidence is ignored."""
        if ending != self._ending or self._state is not _State.ENDING:
            return []
        self._looks = (*self._looks, look)
        return self._commit_if_due()

    def observe_reading(self, ending: int, reading: Reading) -> list[Decision]:
        """Take how complete the turn reads at its ``ending``; stale evidence is ignored."""
        if ending != self._ending or self._state is not _State.ENDING:
            return []
        self._reading = reading
        return self._commit_if_due()

    def close_merge_window(self) -> None:
        """Whatever the user says next is a new turn: the last one's reply is over."""
        self._mergeable_turn = None

    def withdraw(self) -> None:
        """The open turn was none: whatever the user says next is a new one."""
        self._state = _State.QUIET
        self._mergeable_turn = None

    def number_turn(self) -> int:
        """Count a turn that was begun without speech, and give its number.

        Raises:
            RuntimeError: a turn is open; ``withdraw`` it first.
        """
        if self.is_open:
            raise RuntimeError(f"turn {self._turn} is open")
        self._mergeable_turn = None
        self._turn += 1
        return self._turn

    def end_turn(self) -> list[Decision]:
        """The user says that they are done: what is open is committed, however short the silence.

        If it has too little speech in it, it is dismissed.
        """
        return self._end(CommitReason.SURE)

    def end_of_stream(self) -> list[Decision]:
        """No more audio will come: what is open is committed, or dismissed if too short."""
        return self._end(CommitReason.UNSURE)

    def _end(self, reason: CommitReason) -> list[Decision]:
        if self._state is _State.QUIET:
            return []
        decisions: list[Decision] = []
        if self._state is _State.SPEAKING:
            decisions += self._soft_end()
        if self._state is _State.ENDING:
            decisions += self._commit(reason)
        return decisions

    def _hear_speech(self, end_s: float, bot: BotState) -> list[Decision]:
        run_start_s = self._run_start_s
        assert run_start_s is not None  # noqa: S101  # set by the caller
        run_ms = (end_s - run_start_s) * 1000.0
        if self._state is _State.SPEAKING:
            self._speech_ms += (end_s - self._speech_end_s) * 1000.0
            self._speech_end_s = end_s
            return []
        audible = bot is BotState.AUDIBLE
        onset_ms = self._rules.barge_in_ms if audible else self._rules.onset_ms
        if run_ms < onset_ms - 1e-6:
            return []
        if self._state is _State.ENDING:
            self._state = _State.SPEAKING
            self._note_pause(run_start_s)
            self._speech_ms += run_ms
            self._speech_end_s = end_s
            return [SpeechResumed(self._turn, end_s, run_start_s)]
        return [self._start_turn(run_start_s, end_s, bot)]

    def _start_turn(self, run_start_s: float, end_s: float, bot: BotState) -> SpeechStarted:
        continues = None
        window_end_s = self._speech_end_s + self._rules.merge_window_ms / 1000.0
        if bot is BotState.PENDING or run_start_s <= window_end_s:
            continues = self._mergeable_turn
        self._mergeable_turn = None
        self._turn += 1
        self._state = _State.SPEAKING
        if continues is None:
            self._turn_start_s = run_start_s
            self._speech_ms = 0.0
            self._earlier_pauses = 0
        else:
            self._note_pause(run_start_s)
        self._speech_ms += (end_s - run_start_s) * 1000.0
        self._speech_end_s = end_s
        return SpeechStarted(self._turn, end_s, run_start_s, continues)

    def _note_pause(self, until_s: float) -> None:
        self._earlier_pauses += 1
        self._pauses_ms.append((until_s - self._speech_end_s) * 1000.0)

    def _hear_silence(self, end_s: float) -> list[Decision]:
        if self._state is _State.QUIET:
            return []
        silence_ms = (end_s - self._speech_end_s) * 1000.0
        if self._state is _State.SPEAKING:
            if silence_ms < self._rules.soft_end_ms - 1e-6:
                return []
            return self._soft_end()
        decisions = self._commit_if_due()
        if not decisions and silence_ms >= self._next_look_ms:
            self._next_look_ms = self._rules.waiting.next_look_ms(silence_ms)
            decisions.append(EvidenceWanted(self._turn, self._ending, end_s))
        return decisions

    def _soft_end(self) -> list[Decision]:
        if self._speech_ms < self._rules.min_speech_ms:
            self._state = _State.QUIET
            return [TurnDismissed(self._turn, self._now_s)]
        self._state = _State.ENDING
        self._ending += 1
        self._looks = ()
        self._reading = None
        self._next_look_ms = self._rules.waiting.next_look_ms(self._rules.soft_end_ms)
        return [SpeechEnded(self._turn, self._ending, self._now_s, self._speech_end_s)]

    def _commit_if_due(self) -> list[Decision]:
        if self.is_held_open:
            return []
        if self._run_start_s is not None:  # they may just have begun to speak on
            return []
        wait = self._wait()
        if (self._now_s - self._speech_end_s) * 1000.0 < wait.wait_ms - 1e-6:
            return []
        return self._commit(wait.reason)

    def _wait(self) -> Wait:
        waiting = self._rules.waiting
        if self._speech_end_s - self._turn_start_s >= self._rules.max_turn_s:
            return Wait(waiting.shortest_ms, CommitReason.SURE)
        return waiting.wait(
            TurnEvidence(self._looks, self._reading, self._earlier_pauses, tuple(self._pauses_ms))
        )

    def _commit(self, reason: CommitReason) -> list[Decision]:
        self._state = _State.QUIET
        self._mergeable_turn = self._turn
        return [TurnCommitted(self._turn, self._now_s, self._speech_end_s, reason)]
