"""Numbers in the words of any language, on num2words."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["MOST_DIGITS", "cardinal", "ordinal", "year"]

MOST_DIGITS = 15
"""Longer numbers are read digit by digit: nobody follows them."""


@lru_cache(maxsize=1024)
def _words(value: int, code: str, form: str) -> str:
    from num2words import num2words  # noqa: PLC0415 - 60 ms, paid for when something is said

    return str(num2words(value, lang=code, to=form))


def cardinal(value: int, code: str) -> str:
    """How many, for a whole number from 0 with at most ``MOST_DIGITS`` digits."""
    return _words(value, code, "cardinal")


def ordinal(value: int, code: str) -> str:
    """Which one: the masculine or neutral form in the nominative."""
    return _words(value, code, "ordinal")


def year(value: int, code: str) -> str:
    """A year."""
    return _words(value, code, "year")
