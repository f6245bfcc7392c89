"""What was pressed, from the bytes that a terminal sends. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Key", "KeyDecoder", "LineEditor", "PushToTalk", "TalkAction"]

_ESCAPE = "\x1b"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")


class Key(Enum):
    """Keys that are no characters."""

    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    CLEAR = "clear"
    CLEAR_WORD = "clear word"
    END = "end of input"


_CONTROLS = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,
    "\x7f": Key.BACKSPACE,
    "\b": Key.BACKSPACE,
    "\x15": Key.CLEAR,
    "\x17": Key.CLEAR_WORD,
    "\x04": Key.END,
    _ESCAPE: Key.ESCAPE,
}


class KeyDecoder:
    """Cuts what a terminal sends into keys; arrows, function keys and the like are swallowed.

    A lone escape byte may be the Esc key or the beginning of a sequence: it waits until
    ``flush``, which is to be called when nothing has come for a moment.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""

    @property
    def is_waiting(self) -> bool:
        """Whether ``flush`` is to be called."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[Key | str]:
        """Take bytes; give the keys that are complete, a character as itself."""
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        keys: list[Key | str] = []
        while text:
            if text[0] == _ESCAPE:
                if _UNFINISHED.match(text):
                    self._pending = text
                    break
                if (sequence := _SEQUENCE.match(text)) is not None:
                    text = text[sequence.end() :]
                    continue
            keys += self._key(text[0])
            text = text[1:]
        return keys

    def flush(self) -> list[Key | str]:
        """Nothing more has come: a lone escape byte is the Esc key."""
        pending, self._pending = self._pending, ""
        return [Key.ESCAPE] if pending == _ESCAPE else []

    @staticmethod
    def _key(character: str) -> list[Key | str]:
        if character in _CONTROLS:
            return [_CONTROLS[character]]
        if character == "\t":
            return [" "]
        return [character] if character.isprintable() else []


class LineEditor:
    """A line that is being typed."""

    def __init__(self) -> None:
        self.line: str | None = None
        """None while nothing is being typed."""

    def begin(self) -> None:
        """Start with an empty line."""
        self.line = ""

    def press(self, key: Key | str) -> str | None:
        """Take a key; gives the line if that sends it."""
        line = self.line or ""
        match key:
            case Key.ENTER:
                self.line = None
                return line
            case Key.ESCAPE | Key.END:
                self.line = None
            case Key.BACKSPACE:
                self.line = line[:-1]
            case Key.CLEAR:
                self.line = ""
            case Key.CLEAR_WORD:
                self.line = line.rstrip()[: line.rstrip().rfind(" ") + 1]
            case str():
                self.line = line + key
        return None


class TalkAction(Enum):
    """What the key to talk does to the microphone."""

    OPEN = "open"
    SHUT = "shut"


@dataclass(slots=True)
class PushToTalk:
    """The key to talk, held or pressed twice.

    A terminal tells no release of a key. A held key repeats: once it has, the microphone shuts
    when the repeats have stopped. A key that was pressed only once opens the microphone until it
    is pressed again.

    Attributes:
        first_repeat_s: repeats begin by then, on keyboards as they are set up.
        release_s: a repeat that has not come by then does not come.
    """

    first_repeat_s: float = 0.7
    release_s: float = 0.25
    _opened_s: float | None = None
    _last_s: float = 0.0
    _repeats: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the microphone is open."""
        return self._opened_s is not None

    def press(self, at_s: float) -> TalkAction | None:
        """The key was pressed, or repeats."""
        previous_s, self._last_s = self._last_s, at_s
        if self._opened_s is None:
            self._opened_s, self._repeats = at_s, False
            return TalkAction.OPEN
        if self._repeats or at_s - previous_s <= self.first_repeat_s:
            # Who presses twice so quickly says nothing in between: it is the key that repeats.
            self._repeats = True
            return None
        self._opened_s = None
        return TalkAction.SHUT

    def toggle(self, at_s: float) -> TalkAction:
        """The microphone is to be opened, or shut, by something that does not repeat."""
        is_open = self.is_open
        self._opened_s, self._last_s, self._repeats = None if is_open else at_s, at_s, False
        return TalkAction.SHUT if is_open else TalkAction.OPEN

    def tick(self, at_s: float) -> TalkAction | None:
        """Time has passed."""
        if self._opened_s is None or not self._repeats or at_s - self._last_s < self.release_s:
            return None
        self._opened_s = None
        return TalkAction.SHUT
