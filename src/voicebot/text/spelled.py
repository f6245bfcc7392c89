"""Telling words that spell or count something out, where people pause between any two of them."""

from __future__ import annotations

__all__ = ["is_spelled"]

# fmt: off
_NUMBER_WORDS = frozenset((
    "zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    "hundred", "double", "triple",
))
# fmt: on
_WORDS_OF_ONE_LETTER = frozenset(("i",))


def is_spelled(text: str) -> bool:
    """Whether the last word of ``text`` is a letter, a digit or a number word (English ones)."""
    words = text.split()
    if not words:
        return False
    word = words[-1].strip(".,?!'").lower()
    is_letter = len(word) == 1 and word.isalpha() and word not in _WORDS_OF_ONE_LETTER
    return is_letter or word.isdigit() or word in _NUMBER_WORDS
