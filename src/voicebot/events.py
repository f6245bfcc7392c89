"""What happens in a conversation, as facts.

Instants (``…_s``) are seconds on the session's one monotonic clock, the event loop's; those of the
user's audio are derived from sample counts, those of the bot's from its sink.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from voicebot.errors import VoicebotError
    from voicebot.timeline import Timeline

__all__ = [
    "BargedIn",
    "ClauseSpoken",
    "CommitReason",
    "DraftDropped",
    "Event",
    "EvidenceWanted",
    "GuardIntervened",
    "Outcome",
    "PartialTranscript",
    "ReplyFinishing",
    "ReplyHeld",
    "ReplyRepeated",
    "ReplyResumed",
    "ReplyStopped",
    "SpeechEnded",
    "SpeechResumed",
    "SpeechStarted",
    "StageFailed",
    "StageFellBack",
    "StageRecovered",
    "TextEntered",
    "TurnClosed",
    "TurnCommitted",
    "TurnDismissed",
]


class Outcome(Enum):
    """How a turn of the user ended; every turn ends in exactly one of these."""

    ANSWERED = "answered"
    MERGED = "merged"
    DISMISSED = "dismissed"
    ACKNOWLEDGED = "acknowledged"  # words over the bot that left it speaking, as 'mm-hm'
    REPEATED = "repeated"  # no words of the user: the bot was asked to say its last reply again


class CommitReason(Enum):
    """Which wait had passed when the turn was taken for over."""

    SURE = "sure"
    LIKELY = "likely"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak.

    Attributes:
        turn: the new turn's number.
        at_s: the instant of the decision.
        speech_start_s: the estimated onset.
        continues: the committed turn that this one takes up again, if the user went on after
            the bot thought they had finished.
    """

    turn: int
    at_s: float
    speech_start_s: float
    continues: int | None = None


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Soft end: silence has begun, a reply may be drafted.

    Attributes:
        turn: the turn's number.
        ending: the number of this soft end; evidence about it names it.
        at_s: the instant of the decision.
        speech_end_s: the estimated end of speech.
    """

    turn: int
    ending: int
    at_s: float
    speech_end_s: float


@dataclass(frozen=True, slots=True)
class EvidenceWanted:
    """The silence goes on: it pays to look again at whether the turn sounds complete."""

    turn: int
    ending: int
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The user speaks on after a soft end, before the commit.

    Attributes:
        turn: the turn's number.
        at_s: the instant of the decision.
        speech_start_s: the estimated instant at which they went on.
    """

    turn: int
    at_s: float
    speech_start_s: float


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The endpointer's decision that the turn is over."""

    turn: int
    at_s: float
    speech_end_s: float
    reason: CommitReason


@dataclass(frozen=True, slots=True)
class TurnDismissed:
    """There was too little speech in it to be a turn."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What the recogniser has understood so far."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class DraftDropped:
    """A drafted reply was thrown away unheard because the user went on."""

    turn: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ClauseSpoken:
    """A clause of the reply was handed to the loudspeaker."""

    turn: int
    text: str
    starts_s: float


@dataclass(frozen=True, slots=True)
class GuardIntervened:
    """The guard's words took the place of an answer, or of the rest of one.

    Said once a turn is committed; a draft that is dropped counts for nothing.

    Attributes:
        turn: the turn that was being answered.
        speaker: whose words were stopped, ``user`` or ``bot``.
        topic: why.
    """

    turn: int
    speaker: str
    topic: str


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The user interrupted the bot, which fell silent and drops the rest of its reply.

    Attributes:
        turn: the turn whose reply was cut.
        speech_start_s: the user's estimated onset.
        silent_from_s: the instant behind the bot's last sample.
    """

    turn: int
    speech_start_s: float
    silent_from_s: float


@dataclass(frozen=True, slots=True)
class ReplyHeld:
    """The bot fell silent since the user may want to say something; its reply is kept.

    Attributes:
        turn: the turn whose reply is held.
        speech_start_s: the user's estimated onset.
        silent_from_s: the instant behind the bot's last sample.
    """

    turn: int
    speech_start_s: float
    silent_from_s: float


@dataclass(frozen=True, slots=True)
class ReplyResumed:
    """It was no interruption: the reply goes on from the word that was cut."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True)
class ReplyFinishing:
    """It was an interruption: the bot ends its sentence, and drops the rest of its reply."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True)
class ReplyStopped:
    """A reply was silenced, by a key or the like.

    Attributes:
        turn: the turn whose reply it was.
        silent_from_s: the instant behind the bot's last sample.
    """

    turn: int
    silent_from_s: float


@dataclass(frozen=True, slots=True)
class ReplyRepeated:
    """The bot begins to say an earlier reply again, as a turn of its own.

    Attributes:
        turn: the number of that turn.
        repeats: the turn that the reply answered; 0 for an announcement, which answers none.
    """

    turn: int
    repeats: int


@dataclass(frozen=True, slots=True)
class TextEntered:
    """The user wrote a line instead of speaking it.

    Attributes:
        turn: the new turn's number.
        at_s: the instant at which it was sent.
        text: the line.
    """

    turn: int
    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class StageFailed:
    """A stage failed; the session lives on."""

    turn: int
    error: VoicebotError


@dataclass(frozen=True, slots=True)
class StageFellBack:
    """The first engine of a stage failed, and its second one goes on.

    Attributes:
        stage: the stage's name: ``recognition``, ``language model`` or ``synthesis``.
        fallback: the engine that goes on, as the settings name it.
        error: what happened to the first.
    """

    stage: str
    fallback: str
    error: VoicebotError


@dataclass(frozen=True, slots=True)
class StageRecovered:
    """The first engine of a stage works again."""

    stage: str


@dataclass(frozen=True, slots=True)
class TurnClosed:
    """Everything there is to know about a turn that is over.

    Attributes:
        turn: its number.
        outcome: how it ended.
        transcript: what was understood.
        reply: what the language model wrote for it, as far as it got.
        heard: how much of the reply was played.
        speech_start_s: the estimated onset.
        speech_end_s: the estimated end of speech; None if it never came.
        timeline: marks and spans of the reply that was played, else of the turn alone.
        drafts_started: replies begun for this turn, the played one included.
        drafts_discarded: those thrown away.
        discarded_tokens: what those had cost the language model.
        discarded_cpu_s: what those had cost the engines' threads, in processor seconds.
        failure: the error line, if a stage failed.
        is_typed: the user wrote it; start and end of speech are the instant at which it was sent.
    """

    turn: int
    outcome: Outcome
    transcript: str
    reply: str
    heard: str
    speech_start_s: float
    speech_end_s: float | None
    timeline: Timeline
    drafts_started: int
    drafts_discarded: int
    discarded_tokens: int
    failure: str | None
    discarded_cpu_s: float = 0.0
    is_typed: bool = False


Event: TypeAlias = (
    SpeechStarted
    | SpeechEnded
    | EvidenceWanted
    | SpeechResumed
    | TurnCommitted
    | TurnDismissed
    | PartialTranscript
    | DraftDropped
    | ClauseSpoken
    | GuardIntervened
    | BargedIn
    | ReplyHeld
    | ReplyResumed
    | ReplyFinishing
    | ReplyStopped
    | ReplyRepeated
    | TextEntered
    | StageFailed
    | StageFellBack
    | StageRecovered
    | TurnClosed
)
