"""Where the words of a text lie in the phonemes that were made of it. Pure.

A phonemiser says phonemes without telling which word each belongs to: it runs words together ("of
the"), and makes several of one ("U.S."). Each word's own phonemes, laid end to end, are compared
with those of the whole, and a word begins where its first one has its counterpart.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["estimated_lengths", "phoneme_index_of_words", "word_spans"]

_WORD = re.compile(r"\S+")
_SILENT = frozenset(" .,;:!?'\"()-")
_STRESS = frozenset("ˈˌ")
_MARKS = frozenset("ːˑ")
_SNAP_SOUNDS = 2
_PAUSE_LENGTH, _SPACE_LENGTH, _MARK_LENGTH = 3.0, 0.3, 0.6


def word_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The words within [start, end) of ``text``, without the punctuation around them."""
    spans = []
    for match in _WORD.finditer(text, start, end):
        low, high = match.span()
        while low < high and not text[low].isalnum():
            low += 1
        while high > low and not text[high - 1].isalnum():
            high -= 1
        if low < high:
            spans.append((low, high))
    return spans


def phoneme_index_of_words(words: Sequence[Sequence[str]], spoken: Sequence[str]) -> list[int]:
    """At which phoneme each word begins.

    Args:
        words: the phonemes of each word on its own.
        spoken: the phonemes of the whole, with spaces between words.

    Returns:
        An index into ``spoken`` for each word, never falling; empty if nothing is spoken.
    """
    places = [index for index, phoneme in enumerate(spoken) if _sounds(phoneme)]
    if not places:
        return []
    own = [[phoneme for phoneme in word if _sounds(phoneme)] for word in words]
    counterpart = _counterparts([s for word in own for s in word], [spoken[i] for i in places])
    openings = _openings(spoken, places)
    found: list[int] = []
    at = 0
    least = 0
    for word in own:
        place, is_sure = counterpart[at]
        sound = min(max(place, least), len(places) - 1)
        near = [one for one in openings if abs(one - sound) <= _SNAP_SOUNDS and one >= least]
        if near and not is_sure:
            sound = min(near, key=lambda one: abs(one - sound))
        found.append(_with_stress(spoken, places[sound]))
        at += len(word)
        least = min(sound + 1, len(places) - 1) if word else sound
    return found


def estimated_lengths(spoken: Sequence[str]) -> list[float]:
    """How long each phoneme lasts compared with a plain sound, where nothing better is known.

    Sounds are taken as equally long, a pause at punctuation as three of them.
    """
    return [_estimated_length(phoneme) for phoneme in spoken]


def _estimated_length(phoneme: str) -> float:
    if phoneme in _STRESS:
        return 0.0
    if phoneme in _MARKS:
        return _MARK_LENGTH
    if phoneme == " ":
        return _SPACE_LENGTH
    return _PAUSE_LENGTH if phoneme in _SILENT else 1.0


def _sounds(phoneme: str) -> bool:
    return phoneme not in _SILENT and phoneme not in _STRESS


def _counterparts(expected: list[str], actual: list[str]) -> list[tuple[int, bool]]:
    """For each of ``expected``, and for their end, its place in ``actual``, and if it is there."""
    places = [(len(actual), False)] * (len(expected) + 1)
    matcher = difflib.SequenceMatcher(None, expected, actual, autojunk=False)
    for tag, low, high, actual_low, actual_high in matcher.get_opcodes():
        for index in range(low, high):
            share = (index - low) / (high - low)
            place = actual_low + int(share * (actual_high - actual_low))
            places[index] = (place, tag == "equal")
    return places


def _openings(spoken: Sequence[str], places: list[int]) -> list[int]:
    """Which sounds come first in a word of the phonemiser's."""
    openings = [0]
    for sound in range(1, len(places)):
        between = spoken[places[sound - 1] + 1 : places[sound]]
        if any(phoneme in _SILENT for phoneme in between):
            openings.append(sound)
    return openings


def _with_stress(spoken: Sequence[str], index: int) -> int:
    return index - 1 if index and spoken[index - 1] in _STRESS else index
