"""A conversation's facts as one of four states (pure)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from voicebot.events import (
    BargedIn,
    ClauseSpoken,
    ReplyFinishing,
    ReplyHeld,
    ReplyRepeated,
    ReplyResumed,
    SpeechResumed,
    SpeechStarted,
    TextEntered,
    TurnClosed,
    TurnCommitted,
)

if TYPE_CHECKING:
    from voicebot.events import Event

__all__ = ["KioskState", "StateFollower"]


class KioskState(Enum):
    """What the kiosk is doing."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


class StateFollower:
    """Follows a conversation."""

    def __init__(self) -> None:
        self._open_turns: set[int] = set()
        self.state = KioskState.IDLE

    def follow(self, event: Event) -> KioskState:
        """The state after ``event``."""
        match event:
            case SpeechStarted(turn=turn):
                self._open_turns.add(turn)
                self.state = KioskState.LISTENING
            case SpeechResumed() | ReplyHeld() | BargedIn():
                self.state = KioskState.LISTENING
            case TextEntered(turn=turn) | ReplyRepeated(turn=turn):
                self._open_turns.add(turn)
                self.state = KioskState.THINKING
            case TurnCommitted():
                self.state = KioskState.THINKING
            case ClauseSpoken() | ReplyResumed() | ReplyFinishing():
                self.state = KioskState.SPEAKING
            case TurnClosed(turn=turn):
                self._open_turns.discard(turn)
                if not self._open_turns:
                    self.state = KioskState.IDLE
            case _:
                pass
        return self.state

    def forget(self) -> KioskState:
        """The conversation is over: whatever was open is not any more."""
        self._open_turns.clear()
        self.state = KioskState.IDLE
        return self.state
