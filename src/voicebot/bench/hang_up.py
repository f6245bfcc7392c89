"""Knows when a caller has heard enough of the reply to hang up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.events import ClauseSpoken, ReplyResumed, SpeechStarted, TurnCommitted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.events import Event

__all__ = ["HangUp"]


class HangUp:
    """Follows a conversation and tells when the reply to the last turn was audible for long enough.

    A reply counts only if the words it answers reach into the caller's last stretch of speech, as
    in the scoring: one that was begun in a pause may still be followed by the one that counts.

    Args:
        after_s: for how long the caller listens.
        last_speech_start_s: the instant at which the caller's last stretch of speech begins.
    """

    def __init__(self, after_s: float, last_speech_start_s: float) -> None:
        self._after_s = after_s
        self._last_speech_start_s = last_speech_start_s
        self._answered_turn: int | None = None
        self._reply_starts_s: float | None = None
        self._interrupted: tuple[int | None, float | None] = (None, None)

    def observe(self, event: Event) -> None:
        """Take note of a fact of the session."""
        match event:
            case SpeechStarted():
                self._interrupted = (self._answered_turn, self._reply_starts_s)
                self._answered_turn = self._reply_starts_s = None
            case ReplyResumed():  # that speech was no turn
                self._answered_turn, self._reply_starts_s = self._interrupted
            case TurnCommitted() if event.speech_end_s > self._last_speech_start_s:
                self._answered_turn = event.turn
            case ClauseSpoken() if event.turn == self._answered_turn:
                if self._reply_starts_s is None:
                    self._reply_starts_s = event.starts_s

    def is_due(self, now_s: float, bot_spans: Callable[[], Sequence[tuple[float, float]]]) -> bool:
        """Whether the caller may hang up.

        Args:
            now_s: the instant, on the session's clock.
            bot_spans: gives when the bot can be heard; asked only when it can matter.
        """
        starts_s = self._reply_starts_s
        if starts_s is None or now_s < starts_s + self._after_s:
            return False
        onset_s = next((start for start, end in bot_spans() if end > starts_s), None)
        return onset_s is not None and now_s >= onset_s + self._after_s
