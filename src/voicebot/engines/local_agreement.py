"""Which words of a growing utterance have settled (pure).

LocalAgreement-2 (Liu et al. 2020; for Whisper: Macháček, Dabre and Bojar 2023, "Turning Whisper
into Real-Time Transcription System"): a word has settled once two decodings in a row, the later of
more audio, agree on it and on all words before it. The last word of a decoding never settles: the
audio may end within it.
"""

from __future__ import annotations

import unicodedata
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LocalAgreement", "same_word"]


def same_word(one: str, other: str) -> bool:
    """Whether two words are the same but for case and punctuation around them.

    A model sets both anew with every decoding: "old" becomes "old?" and "What" "what".
    """
    return _bare(one) == _bare(other)


def _bare(word: str) -> str:
    marks = "".join({letter for letter in word if unicodedata.category(letter)[0] == "P"})
    return word.strip(marks).casefold() or word


class LocalAgreement:
    """The words of one utterance, as decodings of more and more of it come in."""

    def __init__(self) -> None:
        self._settled: list[str] = []
        self._last: list[str] = []

    @property
    def settled(self) -> tuple[str, ...]:
        """The words that no later decoding changes."""
        return tuple(self._settled)

    @property
    def words(self) -> tuple[str, ...]:
        """The best guess at all words: the settled ones, then those of the last decoding."""
        return (*self._settled, *self._last[len(self._settled) :])

    def update(self, words: Sequence[str]) -> None:
        """Take the words of the next decoding, which is of all the audio so far."""
        agreed = sum(
            1
            for _ in takewhile(lambda pair: same_word(*pair), zip(self._last, words, strict=False))
        )
        agreed = min(agreed, len(self._last) - 1, len(words) - 1)
        self._settled.extend(words[len(self._settled) : max(0, agreed)])
        self._last = list(words)

    def reset(self) -> None:
        """Begin a new utterance."""
        self._settled.clear()
        self._last.clear()
