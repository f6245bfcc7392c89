"""Keeping a model's thinking quiet: what stands between ``<think>`` and ``</think>`` is not said.

Pure. Models that reason before they answer mark it so where their server does not tell reasoning
and answer apart.
"""

from __future__ import annotations

__all__ = ["ThinkingFilter"]

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkingFilter:
    """Takes a reply piece by piece and gives what of it is to be said."""

    def __init__(self) -> None:
        self._pending = ""
        self._is_thinking = False
        self._is_behind_mark = False

    def feed(self, piece: str) -> str:
        """The text to be said, now that ``piece`` follows; a mark may be split between pieces."""
        self._pending += piece
        said: list[str] = []
        while True:
            mark = _CLOSE if self._is_thinking else _OPEN
            at = self._pending.find(mark)
            if at < 0:
                break
            if not self._is_thinking:
                said.append(self._said(self._pending[:at]))
            self._pending = self._pending[at + len(mark) :]
            self._is_thinking = not self._is_thinking
            self._is_behind_mark = not self._is_thinking
        kept = _length_of_begun_mark(self._pending, mark)
        if not self._is_thinking:
            said.append(self._said(self._pending[: len(self._pending) - kept]))
        self._pending = self._pending[len(self._pending) - kept :]
        return "".join(said)

    def flush(self) -> str:
        """What was held back, at the end of the reply."""
        rest, self._pending = self._pending, ""
        return "" if self._is_thinking else self._said(rest)

    def _said(self, text: str) -> str:
        """Without the white space that sets the thinking apart."""
        if self._is_behind_mark:
            text = text.lstrip()
            self._is_behind_mark = not text
        return text


def _length_of_begun_mark(text: str, mark: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``mark``."""
    longest = min(len(mark) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(mark[:n])), 0)
