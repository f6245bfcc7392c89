"""Text from models, servers and libraries, safe to print."""

from __future__ import annotations

__all__ = ["printable"]

_JOINERS = "\u200c\u200d"
"""Without which words of Persian and Hindi, and many emojis, fall apart."""


def printable(text: str) -> str:
    """``text`` of the same length, without line breaks and escapes that would steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _JOINERS else " " for character in text
    )
