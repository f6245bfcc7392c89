"""Where a clause is cut for a synthesiser that makes a whole utterance at once. Pure.

Such a synthesiser gives no sound before the utterance is complete. So a long clause is made in
stretches: the first one short, since somebody waits for it, the later ones longer, since they are
made while the one before is heard. A cut is heard least where a speaker might pause: at
punctuation, else before a word that opens a phrase, else at a space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PAUSE", "Cut", "CutRules", "cut_into_stretches"]

PAUSE = re.compile(r"[.,;:!?…]+[\"'”’)\]]*(?=\s)|[。！？，、；：]+[”’」』）]*")  # noqa: RUF001 - CJK
"""Punctuation at which a speaker pauses, with the quotes and brackets that it closes."""

_WORD = re.compile(r"\S+")
_LETTERS_WITH_DOTS = re.compile(r"\W*(?:[^\W\d_]\.)+")
# A voice is not told the language of its text: the words of all of them seldom collide.
_OPENERS = frozenset(word for each in LANGUAGES.values() for word in each.clauses.openers)
_ABBREVIATIONS = frozenset(
    word for each in LANGUAGES.values() for word in each.clauses.abbreviations
)


@dataclass(frozen=True, slots=True)
class CutRules:
    """How long stretches may be, in characters; 15 are about a second.

    Attributes:
        shortest: a stretch does not end at a pause before this.
        first_longest: the first stretch ends here at the latest.
        longest: every other one does, and none is more than twice as long as the one before, or
            as a first one may be. It bounds what is made in vain if the reply is stopped.
    """

    shortest: int = 24
    first_longest: int = 60
    longest: int = 120


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of a text: its characters from ``start`` up to ``end``.

    Attributes:
        start: index of its first character.
        end: index behind its last.
        goes_on: whether the sentence goes on behind it without any punctuation.
    """

    start: int
    end: int
    goes_on: bool


def cut_into_stretches(text: str, rules: CutRules | None = None) -> Iterator[Cut]:
    """The stretches of ``text`` that hold words, in order."""
    rules = rules or CutRules()
    start = 0
    longest = rules.first_longest
    while start < len(text):
        end, at_pause = _end(text, start, rules.shortest, longest)
        if any(character.isalnum() for character in text[start:end]):
            has_more = any(character.isalnum() for character in text[end:])
            yield Cut(start, end, goes_on=has_more and not at_pause)
            # It is made while this one is heard, where work takes half as long as its sound.
            longest = min(rules.longest, max(rules.first_longest, 2 * (end - start)))
        start = end


def _end(text: str, start: int, shortest: int, longest: int) -> tuple[int, bool]:
    """Where the stretch from ``start`` ends, and whether a pause is there."""
    last = min(start + longest, len(text))
    for pause in PAUSE.finditer(text, start, last):
        if pause.end() - start >= shortest and not _ends_in_abbreviation(text[start : pause.end()]):
            return pause.end(), True
    # A few words that are left over would sound torn off.
    if len(text) - start <= longest + shortest:
        return len(text), True
    openers = [
        word.start()
        for word in _WORD.finditer(text, start, last)
        if word.group().lower() in _OPENERS and word.start() - start >= shortest
    ]
    if openers:
        return openers[-1], False
    space = text.rfind(" ", start, last) + 1
    return (space if space > start else last), False


def _ends_in_abbreviation(text: str) -> bool:
    word = text.rsplit(maxsplit=1)[-1]
    if not word.endswith("."):
        return False
    return word.lower() in _ABBREVIATIONS or _LETTERS_WITH_DOTS.fullmatch(word) is not None
