"""Words in one form, so that a transcript and its reference can be compared."""

from __future__ import annotations

import re
import unicodedata

from voicebot.text.speakable import speakable

__all__ = ["normalise_words", "same_words"]

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def normalise_words(text: str, language: str = "en") -> list[str]:
    """The words of ``text``: lower case, numbers in words of ``language``, no punctuation.

    Hyphens split words, apostrophes inside them stay, contractions are left as they are,
    umlauts and accents too.
    """
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")  # noqa: RUF001 - an apostrophe
    return _WORD.findall(speakable(plain, language).lower())


def same_words(first: str, second: str, language: str = "en") -> bool:
    """Whether two texts are the same words, however they are written."""
    return normalise_words(first, language) == normalise_words(second, language)
