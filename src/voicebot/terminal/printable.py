"""Text from models and libraries, safe to print."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """``text`` of the same length, without line breaks and escapes that would steer a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
