"""What the server tells the page, as facts; ``protocol.encode_message`` makes them JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "BotWords",
    "Captions",
    "Clear",
    "Heard",
    "Hello",
    "Latency",
    "Notice",
    "Ping",
    "Seat",
    "ServerMessage",
    "State",
    "StateName",
    "TurnOver",
    "UserWords",
    "Volume",
]

StateName: TypeAlias = Literal["starting", "inviting", "listening", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class Hello:
    """The answer to ``Join``.

    Attributes:
        version: the protocol's.
        playback_rate_hz: of the reply frames; 0 while the models load.
        audio: whether the page is microphone and loudspeaker.
        start: whether a touch or speech begins a conversation.
        touch: whether a touch switches the microphone, or is held while one speaks.
        title: the operator's greeting; empty for the page's own.
        examples: the operator's example questions; empty for the page's own.
        language: of the conversation.
        languages: those to choose from.
        theme: ``auto``, ``light`` or ``dark``.
    """

    TYPE: ClassVar = "hello"
    version: int
    playback_rate_hz: int
    audio: str
    start: str
    touch: str
    title: str
    examples: tuple[str, ...]
    language: str
    languages: tuple[str, ...]
    theme: str


@dataclass(frozen=True, slots=True)
class State:
    """What goes on."""

    TYPE: ClassVar = "state"
    state: StateName


@dataclass(frozen=True, slots=True)
class Seat:
    """Who may talk.

    Attributes:
        seat: ``free``, ``yours`` or ``taken``.
        visit: the name of the conversation, for whoever has the seat; else empty.
    """

    TYPE: ClassVar = "seat"
    seat: Literal["free", "yours", "taken"]
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for the page's clock."""

    TYPE: ClassVar = "ping"
    id: int


@dataclass(frozen=True, slots=True)
class UserWords:
    """What was understood of a turn so far."""

    TYPE: ClassVar = "you"
    turn: int
    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class BotWords:
    """What the bot says in a turn, as far as it has gone to the loudspeaker."""

    TYPE: ClassVar = "bot"
    turn: int
    text: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """How many of the reply's words are over; the next one is being spoken."""

    TYPE: ClassVar = "heard"
    turn: int
    words: int


@dataclass(frozen=True, slots=True)
class TurnOver:
    """A turn is closed; ``was_cut`` tells that the reply was interrupted."""

    TYPE: ClassVar = "over"
    turn: int
    outcome: str
    was_cut: bool


@dataclass(frozen=True, slots=True)
class Captions:
    """The conversation so far, for a page that comes in the middle of it; oldest first."""

    TYPE: ClassVar = "captions"
    exchanges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Latency:
    """How fast the bot answered; milliseconds from the user's estimated end of speech.

    Attributes:
        turn: which turn.
        total_ms: to the first sample at the loudspeaker, by the server's knowledge.
        parts_ms: where it went, along the critical path.
        page_ms: the same to the first audible sample, as the page saw it leave; None if unknown.
        p50_ms: median of the turns so far.
        p95_ms: 95th percentile of the turns so far.
        turns: how many those are.
    """

    TYPE: ClassVar = "latency"
    turn: int
    total_ms: float
    parts_ms: dict[str, float]
    page_ms: float | None
    p50_ms: float
    p95_ms: float
    turns: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the visitor should know, by its name; the page has the words."""

    TYPE: ClassVar = "notice"
    notice: Literal[
        "forgotten", "goodbye", "language", "microphone", "failed", "restarted", "continued"
    ]


@dataclass(frozen=True, slots=True)
class Clear:
    """Fall silent: play nothing from ``frame`` on, or from now on if that is past."""

    TYPE: ClassVar = "clear"
    sequence: int
    frame: int


@dataclass(frozen=True, slots=True)
class Volume:
    """How loud the page is to play, 0 to 100."""

    TYPE: ClassVar = "volume"
    percent: int


ServerMessage: TypeAlias = (
    Hello
    | State
    | Seat
    | Ping
    | UserWords
    | BotWords
    | Heard
    | TurnOver
    | Captions
    | Latency
    | Notice
    | Clear
    | Volume
)
