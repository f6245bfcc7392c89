"""What a user may ask of a conversation by keys or lines, whatever shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicebot.errors import OutputError
from voicebot.terminal.keys import PushToTalk, TalkAction
from voicebot.turns.interruption import BargeInMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.input_gate import InputGate
    from voicebot.keeping.transcript_keeper import TranscriptKeeper
    from voicebot.session import Session

__all__ = ["Controls"]

_TALK_TAIL_S = 0.15
"""A key is let go with the last sound, and the microphone's blocks come a little later."""


class Controls:
    """The operations of a conversation under way; all are to be called on the loop.

    Args:
        session: the conversation.
        gate: the microphone's.
        transcript: what was said.
        barge_in_mode: whether to talk by a key silences the bot.
        is_push_to_talk: whether the microphone is shut but for the key to talk.
        tell: shows a line to the user.
        quit_chat: ends the conversation.
    """

    def __init__(
        self,
        session: Session,
        gate: InputGate,
        transcript: TranscriptKeeper,
        *,
        barge_in_mode: BargeInMode,
        is_push_to_talk: bool,
        tell: Callable[[str], None],
        quit_chat: Callable[[], object],
    ) -> None:
        self._session = session
        self._gate = gate
        self._transcript = transcript
        self._is_silencing = barge_in_mode is BargeInMode.INTERRUPT
        self._tell = tell
        self._quit = quit_chat
        self._talk = PushToTalk() if is_push_to_talk else None
        self._is_muted = False
        self._open_gate()

    @property
    def is_muted(self) -> bool:
        """Whether the user has muted the microphone."""
        return self._is_muted

    @property
    def is_shut(self) -> bool:
        """Whether nothing is heard: it is muted, or the key to talk is not pressed."""
        return not self._gate.is_open

    @property
    def is_push_to_talk(self) -> bool:
        """Whether the microphone is shut but for the key to talk."""
        return self._talk is not None

    def toggle_mute(self) -> None:
        """Shut the microphone, or open it; what was said before is answered."""
        self._is_muted = not self._is_muted
        self._open_gate()

    def stop(self) -> None:
        """Silence the reply."""
        self._session.stop()

    def repeat(self) -> None:
        """Say the last reply again."""
        if self._session.repeat() is None:
            self._tell("There is no reply to repeat yet.")

    def answer(self, line: str) -> None:
        """Answer a line that was typed."""
        self._session.answer_text(line)

    def save(self) -> None:
        """Save the transcript, and say where."""
        try:
            path = self._transcript.save()
        except OutputError as error:
            self._tell(str(error))
        else:
            self._tell("Nothing was said yet." if path is None else f"Saved {path}")

    def quit(self) -> None:
        """End the conversation."""
        self._quit()

    def press_talk(self, at_s: float) -> None:
        """The key to talk was pressed, or repeats; without push-to-talk it ends the turn now."""
        if self._talk is None:
            self._session.end_turn()
        else:
            self._act(self._talk.press(at_s))

    def toggle_talk(self, at_s: float) -> None:
        """As two presses of the key: the first opens the microphone, the second ends the turn."""
        if self._talk is None:
            self._session.end_turn()
        else:
            self._act(self._talk.toggle(at_s))

    def tick(self, at_s: float) -> None:
        """Time has passed: a held key may have been let go."""
        if self._talk is not None:
            self._act(self._talk.tick(at_s))

    def _act(self, action: TalkAction | None) -> None:
        if action is TalkAction.OPEN:
            if self._is_silencing:
                self._session.stop()
            self._session.hold_turn_open()
            self._open_gate()
        elif action is TalkAction.SHUT:
            asyncio.get_running_loop().call_later(_TALK_TAIL_S, self._end_talk)

    def _end_talk(self) -> None:
        if self._talk is not None and self._talk.is_open:
            return  # pressed again meanwhile: they go on
        self._open_gate()
        self._session.end_turn()

    def _open_gate(self) -> None:
        self._gate.is_open = not self._is_muted and (self._talk is None or self._talk.is_open)
