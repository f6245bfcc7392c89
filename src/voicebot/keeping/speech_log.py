"""When the user spoke in each turn, as the endpointer heard it. Pure: facts in, turns out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.events import Outcome, SpeechEnded, SpeechResumed, SpeechStarted, TurnClosed

if TYPE_CHECKING:
    from voicebot.events import Event

__all__ = ["SpeechLog", "SpokenTurn"]


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """A turn that is over.

    Attributes:
        speech: its stretches of speech on the session's clock, in order, at least one; those of
            turns that were merged into it come first.
        next_start_s: where the user spoke next, if they have.
        closed: what the session says of it.
    """

    speech: tuple[tuple[float, float], ...]
    next_start_s: float | None
    closed: TurnClosed


@dataclass(slots=True)
class _OpenTurn:
    number: int
    continues: int | None
    start_s: float | None
    speech: list[tuple[float, float]] = field(default_factory=list)
    closed: TurnClosed | None = None


class SpeechLog:
    """Follows the facts of a conversation and gives its turns, in order, as they are over."""

    def __init__(self) -> None:
        self._turns: list[_OpenTurn] = []

    def observe(self, event: Event) -> list[SpokenTurn]:
        """Take the next fact; give the turns that are over and have none open before them."""
        match event:
            case SpeechStarted():
                self._turns.append(_OpenTurn(event.turn, event.continues, event.speech_start_s))
            case SpeechResumed():
                if (turn := self._find(event.turn)) is not None:
                    turn.start_s = event.speech_start_s
            case SpeechEnded():
                if (turn := self._find(event.turn)) is not None and turn.start_s is not None:
                    turn.speech.append((turn.start_s, event.speech_end_s))
                    turn.start_s = None
            case TurnClosed():
                self._close(event)
                return self._take_closed()
        return []

    def _close(self, closed: TurnClosed) -> None:
        turn = self._find(closed.turn)
        if turn is None:
            return  # nobody spoke: typed, or a reply that was repeated
        if closed.outcome is Outcome.MERGED:
            for later in self._turns:
                if later.continues == turn.number:
                    later.speech = turn.speech + later.speech
            self._turns.remove(turn)
            return
        turn.closed = closed

    def _take_closed(self) -> list[SpokenTurn]:
        taken = []
        while self._turns and (closed := self._turns[0].closed) is not None:
            turn = self._turns.pop(0)
            if turn.speech:
                taken.append(SpokenTurn(tuple(turn.speech), self._next_start_s(), closed))
        return taken

    def _next_start_s(self) -> float | None:
        if not self._turns:
            return None
        following = self._turns[0]
        return following.speech[0][0] if following.speech else following.start_s

    def _find(self, number: int) -> _OpenTurn | None:
        return next((turn for turn in self._turns if turn.number == number), None)
