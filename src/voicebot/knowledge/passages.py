"""A passage: the smallest piece of knowledge that is found and used as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Passage", "PassageKind"]

PassageKind: TypeAlias = Literal["prose", "answer", "code"]
"""``answer`` belongs to a question of its own; ``code`` is never read aloud."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a file.

    Attributes:
        text: what it says; of a question-answer pair the answer.
        source: the file, relative to the folder, with ``/`` between parts.
        line: where it begins in the file, from 1.
        kind: how it may be used.
        headings: the headings above it, the outermost first.
        question: of a question-answer pair the question, else empty.
        tags: of a question-answer pair.
    """

    text: str
    source: str
    line: int
    kind: PassageKind = "prose"
    headings: tuple[str, ...] = ()
    question: str = ""
    tags: tuple[str, ...] = ()

    @property
    def searched_texts(self) -> tuple[str, ...]:
        """What a query is compared with; the likest of them counts.

        The text below its last heading; of a pair the question with the answer, since those who
        ask use words of either, and the question alone, which some ask word for word.
        """
        if self.question:
            return (f"{self.question} {self.text}", self.question)
        return (" ".join((*self.headings[-1:], self.text)),)
