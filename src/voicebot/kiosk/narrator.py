"""A conversation's facts as what the page shows of them (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.events import (
    BargedIn,
    ClauseSpoken,
    Outcome,
    PartialTranscript,
    ReplyHeld,
    ReplyResumed,
    ReplyStopped,
    SpeechStarted,
    TextEntered,
    TurnClosed,
    TurnCommitted,
)
from voicebot.kiosk.page_messages import (
    BotWords,
    Captions,
    Heard,
    State,
    TurnOver,
    UserWords,
)

if TYPE_CHECKING:
    from voicebot.events import Event
    from voicebot.kiosk.latencies import Latencies
    from voicebot.kiosk.page_messages import ServerMessage, StateName

__all__ = ["Narrator"]

_EXCHANGES_KEPT = 6


class Narrator:
    """Tells one conversation.

    Args:
        latencies: takes every answer's.
        quiet_state: what goes on as long as nothing was said and understood.
    """

    def __init__(self, latencies: Latencies, *, quiet_state: StateName = "listening") -> None:
        self._latencies = latencies
        self._quiet_state = quiet_state
        self._state: StateName = quiet_state
        self._replies: dict[int, str] = {}
        self._heard: tuple[int, int] = (0, 0)
        self._cut: set[int] = set()
        self._audible: dict[int, float] = {}
        self._exchanges: list[tuple[str, str]] = []
        self._speaking_turn = 0

    @property
    def state(self) -> StateName:
        """What goes on."""
        return self._state

    @property
    def captions(self) -> Captions:
        """The latest exchanges, for a page that comes later."""
        return Captions(tuple(self._exchanges))

    def tell(self, event: Event) -> list[ServerMessage]:
        """What the page is told of ``event``."""
        match event:
            case SpeechStarted() | ReplyHeld():
                messages = self._enter("listening")
            case PartialTranscript(turn=turn, text=text):
                messages = [UserWords(turn, text, is_final=False)]
            case TextEntered(turn=turn, text=text):
                messages = [UserWords(turn, text, is_final=True), *self._enter("thinking")]
            case TurnCommitted():
                messages = self._enter("thinking")
            case ClauseSpoken(turn=turn, text=text):
                messages = self._speak(turn, text)
            case ReplyResumed():
                messages = self._enter("speaking")
            case BargedIn(turn=turn) | ReplyStopped(turn=turn):
                self._cut.add(turn)
                messages = self._enter("listening")
            case TurnClosed():
                messages = self._close(event)
            case _:
                messages = []
        return messages

    def tell_heard(self, turn: int, text: str) -> list[ServerMessage]:
        """How far the reply of ``turn`` has been heard; nothing if that is known."""
        heard = (turn, len(text.split()))
        if turn == 0 or heard == self._heard:
            return []
        self._heard = heard
        return [Heard(*heard)]

    def was_audible(self, at_s: float) -> None:
        """The page heard the present reply's first sound at ``at_s``, on the session's clock."""
        if self._speaking_turn:
            self._audible.setdefault(self._speaking_turn, at_s)

    def _speak(self, turn: int, text: str) -> list[ServerMessage]:
        so_far = self._replies.get(turn, "")
        self._replies[turn] = f"{so_far} {text.strip()}".strip()
        self._speaking_turn = turn
        return [BotWords(turn, self._replies[turn]), *self._enter("speaking")]

    def _close(self, closed: TurnClosed) -> list[ServerMessage]:
        messages: list[ServerMessage] = []
        is_said = closed.outcome in {Outcome.ANSWERED, Outcome.REPEATED}
        if is_said:
            if closed.transcript:
                messages.append(UserWords(closed.turn, closed.transcript, is_final=True))
            messages.append(Heard(closed.turn, len(closed.heard.split())))
            if closed.transcript or self._exchanges:  # an announcement begins no conversation
                self._exchanges.append((closed.transcript, closed.heard))
            del self._exchanges[:-_EXCHANGES_KEPT]
        messages.append(
            TurnOver(
                closed.turn,
                Outcome.ANSWERED.value if is_said else closed.outcome.value,
                was_cut=closed.turn in self._cut,
            )
        )
        if closed.outcome is Outcome.ANSWERED:
            latency = self._latencies.add(closed, self._audible.pop(closed.turn, None))
            if latency is not None:
                messages.append(latency)
        self._replies.pop(closed.turn, None)
        if closed.turn == self._speaking_turn or self._state == "thinking":
            messages += self._enter("listening")
        if not self._exchanges and not self._replies and self._state == "listening":
            messages += self._enter(self._quiet_state)
        return messages

    def _enter(self, state: StateName) -> list[ServerMessage]:
        if state == self._state:
            return []
        self._state = state
        return [State(state)]
