"""What the live view shows, folded from what happens. Pure: state and fact in, state out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from voicebot.events import (
    BargedIn,
    ClauseSpoken,
    Event,
    Outcome,
    PartialTranscript,
    ReplyFinishing,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    StageFailed,
    StageFellBack,
    StageRecovered,
    TextEntered,
    TurnClosed,
    TurnCommitted,
)
from voicebot.latency import estimated_breakdown

if TYPE_CHECKING:
    from voicebot.timeline import Breakdown

__all__ = [
    "SILENT_DBFS",
    "Activity",
    "HelpToggled",
    "LineEdited",
    "MicrophoneSet",
    "Notice",
    "Noticed",
    "ShownTurn",
    "Tick",
    "ViewFact",
    "ViewState",
    "reduce",
]

SILENT_DBFS = -90.0
_TURNS_KEPT = 200
_LATENCIES_KEPT = 1000
_NOTICES_KEPT = 3
_NOTICE_SHOWN_S = 20.0


class Activity(Enum):
    """What goes on, in one word."""

    LISTENING = "listening"
    HEARING = "hearing"
    THINKING = "thinking"
    SPEAKING = "speaking"
    MUTED = "muted"
    READY = "ready"  # for the key to talk
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed.

    Attributes:
        level_dbfs: how loud the microphone is.
        heard_turn: the turn whose reply is played; 0 without one.
        heard: what has been heard of it.
        is_asleep: whether a wake word is waited for.
        at_s: the present, on any clock.
    """

    level_dbfs: float
    heard_turn: int = 0
    heard: str = ""
    is_asleep: bool = False
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MicrophoneSet:
    """A key has shut the microphone, or opened it again.

    Attributes:
        is_muted: whether it stays shut until it is asked for again.
        is_shut: whether nothing is heard: muted, or waiting for the key to talk.
    """

    is_muted: bool
    is_shut: bool


@dataclass(frozen=True, slots=True)
class LineEdited:
    """The line that is being typed; None when it was sent or given up."""

    line: str | None


@dataclass(frozen=True, slots=True)
class HelpToggled:
    """The page of keys is shown, or not any more."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something to be told.

    Attributes:
        text: one line.
        is_of_library: a library's own words, which never take the place of ours.
    """

    text: str
    is_of_library: bool = False


ViewFact: TypeAlias = Event | Tick | MicrophoneSet | LineEdited | HelpToggled | Noticed


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn that is over.

    Attributes:
        number: the turn's.
        user: what was understood; empty for a reply that was said again.
        bot: what was heard of the reply.
        note: a word on what became of it; empty if all went as usual.
        parts: where the time went; None without a reply.
    """

    number: int
    user: str
    bot: str
    note: str = ""
    parts: Breakdown | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A line that is told for a while.

    Attributes:
        text: the line.
        is_of_library: see ``Noticed``.
        until_s: when it goes.
    """

    text: str
    is_of_library: bool
    until_s: float


@dataclass(frozen=True, slots=True)
class ViewState:
    """All that is shown.

    Attributes:
        title: the profile, as the header names it.
        is_push_to_talk: whether the microphone is shut but for a key.
        is_muted: whether it is muted.
        is_shut: whether nothing is heard: muted, or waiting for the key to talk.
        is_asleep: whether a wake word is waited for.
        level_dbfs: how loud it is.
        is_user_speaking: whether an open turn is in speech.
        partial: what was understood of the open turn so far.
        pending_turn: a committed turn without a sound yet; 0 without one.
        reply_turn: the turn whose reply comes; 0 without one.
        clauses: of that reply, as far as they were handed to the loudspeaker.
        heard: how much of them was heard.
        is_audible: whether it is being heard.
        turns: those that are over, oldest first.
        latencies_ms: of the answers, oldest first.
        notices: what is told, oldest first; at most one is a library's.
        line: what is being typed; None if nothing is.
        shows_help: whether the page of keys is shown.
        now_s: the present; no difference by itself.
    """

    title: str = ""
    is_push_to_talk: bool = False
    is_muted: bool = False
    is_shut: bool = False
    is_asleep: bool = False
    level_dbfs: float = SILENT_DBFS
    is_user_speaking: bool = False
    partial: str = ""
    pending_turn: int = 0
    reply_turn: int = 0
    clauses: tuple[str, ...] = ()
    heard: str = ""
    is_audible: bool = False
    turns: tuple[ShownTurn, ...] = ()
    latencies_ms: tuple[float, ...] = ()
    notices: tuple[Notice, ...] = ()
    line: str | None = None
    shows_help: bool = False
    now_s: float = field(default=0.0, compare=False)

    @property
    def activity(self) -> Activity:
        """What goes on, in one word."""
        if self.is_user_speaking:
            return Activity.HEARING
        if self.is_audible:
            return Activity.SPEAKING
        if self.pending_turn:
            return Activity.THINKING
        if self.is_muted:
            return Activity.MUTED
        if self.is_shut:
            return Activity.READY
        return Activity.ASLEEP if self.is_asleep else Activity.LISTENING

    @property
    def said(self) -> str:
        """The reply that comes, as far as it was handed to the loudspeaker."""
        return " ".join(self.clauses)

    @property
    def p50_ms(self) -> float | None:
        """The median latency so far; None without an answer."""
        return median(self.latencies_ms) if self.latencies_ms else None


def reduce(state: ViewState, fact: ViewFact) -> ViewState:  # noqa: PLR0911  # one for each fact
    """The state after ``fact``; facts that nobody sees change nothing."""
    match fact:
        case Tick():
            return _tick(state, fact)
        case MicrophoneSet():
            return replace(state, is_muted=fact.is_muted, is_shut=fact.is_shut)
        case LineEdited():
            return replace(state, line=fact.line)
        case HelpToggled():
            return replace(state, shows_help=not state.shows_help)
        case Noticed():
            return _notice(state, fact.text, is_of_library=fact.is_of_library)
        case StageFailed() | StageFellBack() | StageRecovered() | ReplyFinishing():
            return _notice(state, _announcement(fact))
        case TurnClosed():
            return _close(state, fact)
        case _:
            return _converse(state, fact)


def _announcement(
    fact: StageFailed | StageFellBack | StageRecovered | ReplyFinishing,
) -> str:
    match fact:
        case StageFailed():
            return str(fact.error)
        case StageFellBack():
            return f"{fact.error}; {fact.fallback} goes on"
        case StageRecovered():
            return f"the {fact.stage} stage works again"
    return "(finishing the sentence)"


def _converse(state: ViewState, event: Event) -> ViewState:  # noqa: PLR0911  # one for each
    match event:
        case SpeechStarted():
            partial = state.partial if event.continues is not None else ""
            return replace(state, is_user_speaking=True, partial=partial)
        case SpeechResumed():
            return replace(state, is_user_speaking=True)
        case PartialTranscript():
            return replace(state, partial=event.text)
        case SpeechEnded():
            return replace(state, is_user_speaking=False)
        case TurnCommitted():
            return replace(state, is_user_speaking=False, pending_turn=event.turn)
        case TextEntered():
            return replace(
                state, is_user_speaking=False, partial=event.text, pending_turn=event.turn
            )
        case ClauseSpoken():
            clauses = (*state.clauses, event.text.strip()) if _is_same(state, event) else ()
            clauses = clauses or (event.text.strip(),)
            heard = state.heard if _is_same(state, event) else ""
            return replace(state, reply_turn=event.turn, clauses=clauses, heard=heard)
        case BargedIn():
            return replace(state, is_audible=False)
        case _:
            return state


def _is_same(state: ViewState, event: ClauseSpoken) -> bool:
    return state.reply_turn == event.turn


def _tick(state: ViewState, tick: Tick) -> ViewState:
    is_reply = tick.heard_turn != 0 and tick.heard_turn == state.reply_turn
    is_awaited = is_reply and state.pending_turn == tick.heard_turn
    return replace(
        state,
        level_dbfs=tick.level_dbfs,
        is_asleep=tick.is_asleep,
        is_audible=is_reply,
        pending_turn=0 if is_awaited else state.pending_turn,
        heard=tick.heard if is_reply else state.heard,
        notices=tuple(each for each in state.notices if each.until_s > tick.at_s),
        now_s=tick.at_s,
    )


def _notice(state: ViewState, text: str, *, is_of_library: bool = False) -> ViewState:
    text = " ".join(text.split())
    if not text:
        return state
    told = [each for each in state.notices if each.text != text]
    if is_of_library:
        told = [each for each in told if not each.is_of_library]
    told.append(Notice(text, is_of_library, state.now_s + _NOTICE_SHOWN_S))
    ours = [each for each in told if not each.is_of_library][-_NOTICES_KEPT:]
    return replace(
        state, notices=tuple(each for each in told if each.is_of_library or each in ours)
    )


def _close(state: ViewState, turn: TurnClosed) -> ViewState:
    state = replace(
        state,
        is_user_speaking=state.is_user_speaking and turn.outcome is Outcome.MERGED,
        pending_turn=0 if state.pending_turn == turn.turn else state.pending_turn,
    )
    if state.reply_turn == turn.turn:
        state = replace(state, reply_turn=0, clauses=(), heard="", is_audible=False)
    if turn.outcome is Outcome.MERGED:
        return state
    if not state.is_user_speaking and state.pending_turn == 0:
        state = replace(state, partial="")
    if not (turn.transcript or turn.heard):
        return state
    parts = estimated_breakdown(turn)
    shown = ShownTurn(turn.turn, turn.transcript, turn.heard, _note_of(turn), parts)
    state = replace(state, turns=(*state.turns, shown)[-_TURNS_KEPT:])
    if parts is not None and turn.outcome is Outcome.ANSWERED and turn.failure is None:
        latencies = (*state.latencies_ms, parts.total_ms)[-_LATENCIES_KEPT:]
        state = replace(state, latencies_ms=latencies)
    return state


def _note_of(turn: TurnClosed) -> str:
    if turn.failure is not None:
        return "failed"
    if turn.outcome is Outcome.REPEATED:
        return "said again"
    if turn.outcome is Outcome.ACKNOWLEDGED:
        return "the bot went on"
    if turn.outcome is Outcome.DISMISSED:
        return "not answered"
    return "interrupted" if turn.heard != turn.reply else ""
