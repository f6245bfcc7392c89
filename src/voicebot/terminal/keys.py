"""What was pressed, from the bytes that a terminal sends. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Key",
    "KeyDecoder",
    "LineEditor",
    "Paste",
    "Press",
    "PushToTalk",
    "TalkAction",
    "is_burst",
]

_ESCAPE = "\x1b"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])", re.DOTALL)
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")


class Key(Enum):
    """Keys that are no characters."""

    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    CLEAR = "clear"
    CLEAR_WORD = "clear word"
    END = "end of input"


@dataclass(frozen=True, slots=True)
class Paste:
    """Text that was pasted: one line, whatever line breaks it had."""

    text: str


Press: TypeAlias = Key | str | Paste
"""A key, a character as itself, or text that was pasted."""


def is_burst(keys: Sequence[Press]) -> bool:
    """Whether keys that came at once are a paste of a terminal that does not mark pastes.

    Nobody presses two characters and the Enter key in the same moment; a key that is held repeats
    one character.
    """
    characters = {key for key in keys if isinstance(key, str)}
    others = [key for key in keys if not isinstance(key, str) and key is not Key.ENTER]
    return len(characters) > 1 and not others


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

    What stands between the marks of a bracketed paste is one ``Paste``.

    A lone escape byte may be the Esc key or the beginning of a sequence: it waits until
    ``flush``, which is to be called when nothing has come for a moment.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""
        self._pasted: str | None = None  # what has come of a paste; None outside of one

    @property
    def is_waiting(self) -> bool:
        """Whether ``flush`` is to be called."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[Press]:
        """Take bytes; give the keys that are complete, a character as itself."""
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        keys: list[Press] = []
        while text:
            if self._pasted is not None:
                text = self._take_pasted(text, keys)
                continue
            if text.startswith(_PASTE_BEGINS):
                self._pasted, text = "", text[len(_PASTE_BEGINS) :]
                continue
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

    def _take_pasted(self, text: str, keys: list[Press]) -> str:
        """Take ``text`` up to the end of the paste; gives what stands behind it."""
        pasted, end, behind = ((self._pasted or "") + text).partition(_PASTE_ENDS)
        if not end:
            self._pasted = pasted
            return ""
        self._pasted = None
        if line := _one_line(pasted):
            keys.append(Paste(line))
        return behind

    def flush(self) -> list[Press]:
        """Nothing more has come: a lone escape byte is the Esc key."""
        pending, self._pending = self._pending, ""
        return [Key.ESCAPE] if pending == _ESCAPE else []

    @staticmethod
    def _key(character: str) -> list[Press]:
        if character in _CONTROLS:
            return [_CONTROLS[character]]
        if character == "\t":
            return [" "]
        return [character] if character.isprintable() else []


def _one_line(text: str) -> str:
    """Pasted text without line breaks, and without what is no character."""
    spaced = "".join(" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if character.isprintable())


class LineEditor:
    """A line that is being typed."""

    def __init__(self) -> None:
        self.line: str | None = None
        """None while nothing is being typed."""

    def begin(self) -> None:
        """Start with an empty line."""
        self.line = ""

    def press(self, key: Press) -> str | None:
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
            case Paste(text):
                self.line = line + text
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
