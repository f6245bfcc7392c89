"""A language model behind the guard: it sees no stopped words, and says no stopped clause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, TextPiece
from voicebot.text.clauses import ClauseSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voicebot.engines.protocols import Llm, Message, StopFlag
    from voicebot.guard.guard import Guard, Intervention

__all__ = ["ClauseCuts", "GuardedLlm"]

_CHECKS_KEPT = 64


@dataclass(frozen=True, slots=True)
class ClauseCuts:
    """How replies are cut into clauses, as in ``ReplyRules``."""

    early_first_clause: bool = True
    first_clause_min_words: int = 3
    clause_max_characters: int = 220
    language: str = "en"
    max_tokens: int | None = None


class GuardedLlm:
    """Wraps an ``Llm``; itself one.

    The user's words are checked before the model is asked. What it writes is handed on clause by
    clause, each checked as soon as it is complete, which is when it could be spoken and no later.
    The clause that is stopped, and all behind it, is replaced by the guard's sentence.

    Args:
        llm: the model.
        guard: decides.
        cuts: where clauses end.
    """

    def __init__(self, llm: Llm, guard: Guard, cuts: ClauseCuts) -> None:
        self._llm = llm
        self._guard = guard
        self._cuts = cuts
        # What was decided on the user's words, which drafts ask again, and history shows again.
        self._checked: dict[str, Intervention | None] = {}

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """See :class:`voicebot.engines.protocols.Llm`."""
        allowed = self._without_stopped(messages)
        intervention = self._check_user(messages)
        if intervention is not None:
            # How finished the words are is known by the model alone, which may read them.
            prefilled = self._llm.prepare(allowed, stop)
            if prefilled is not None:
                yield prefilled
                yield _said_instead(intervention)
            return
        yield from self._checked_clauses(self._llm.generate(allowed, stop))

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        """See :class:`voicebot.engines.protocols.Llm`; what is written ahead is checked later."""
        return self._llm.prepare(self._without_stopped(messages), stop, write_tokens)

    def close(self) -> None:
        """Close the model."""
        self._llm.close()

    def _checked_clauses(
        self, pieces: Iterator[Prefilled | TextPiece]
    ) -> Iterator[Prefilled | TextPiece]:
        cuts = self._cuts
        splitter = ClauseSplitter(
            first_clause_min_words=cuts.first_clause_min_words,
            early_first_clause=cuts.early_first_clause,
            max_clause_characters=cuts.clause_max_characters,
            language=cuts.language,
        )
        tokens = 0
        for piece in pieces:
            if isinstance(piece, Prefilled):
                yield piece
                continue
            tokens += piece.tokens
            # The cost is told at once; the text comes as whole clauses.
            yield TextPiece("", piece.tokens)
            for clause in splitter.feed(piece.text):
                checked = self._check_bot(clause)
                yield checked
                if checked.stopped is not None:
                    return
        if cuts.max_tokens is not None and tokens >= cuts.max_tokens:
            splitter.drop_unfinished_word()  # as the reply does with what comes uncut
        for clause in splitter.flush():
            checked = self._check_bot(clause)
            yield checked
            if checked.stopped is not None:
                return

    def _check_bot(self, clause: str) -> TextPiece:
        intervention = self._guard.check_bot(clause)
        if intervention is not None:
            return _said_instead(intervention)
        return TextPiece(f"{clause} ", 0, is_clause=True)

    def _check_user(self, messages: Sequence[Message]) -> Intervention | None:
        if not messages or messages[-1].role != "user":
            return None
        text = messages[-1].content
        if text not in self._checked:
            self._checked[text] = self._guard.check_user(text)
            while len(self._checked) > _CHECKS_KEPT:
                del self._checked[next(iter(self._checked))]
        return self._checked[text]

    def _without_stopped(self, messages: Sequence[Message]) -> list[Message]:
        """``messages`` without earlier exchanges in which the user's words were stopped."""
        allowed: list[Message] = []
        is_stopped = False
        for index, message in enumerate(messages):
            if message.role == "user":
                is_last = index == len(messages) - 1
                is_stopped = not is_last and self._checked.get(message.content) is not None
            if not is_stopped:
                allowed.append(message)
        return allowed


def _said_instead(intervention: Intervention) -> TextPiece:
    return TextPiece(f"{intervention.say} ", 0, stopped=intervention.stopped)
