"""Which words of partial transcripts will not change any more, as far as can be told. Pure."""

from __future__ import annotations

__all__ = ["StableWords"]


class StableWords:
    """Gives each word once two partial transcripts in a row agree on it and on all before it.

    What is streamed to a client cannot be taken back. The last word of a partial is still being
    spoken and is never given.
    """

    def __init__(self) -> None:
        self._before: list[str] = []
        self._given: list[str] = []

    def feed(self, partial: str) -> str:
        """The words that have become stable, with a space before all but the very first."""
        words = partial.split()
        agreed = []
        for word, before in zip(words[:-1], self._before, strict=False):
            if word != before:
                break
            agreed.append(word)
        self._before = words
        return self._give(agreed)

    def finish(self, final: str) -> str:
        """The rest of the final transcript; nothing if it contradicts what was given."""
        return self._give(final.split())

    def _give(self, words: list[str]) -> str:
        known = len(self._given)
        if len(words) <= known or words[:known] != self._given:
            return ""
        self._given = words
        return (" " if known else "") + " ".join(words[known:])
