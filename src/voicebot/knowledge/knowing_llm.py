"""A language model that knows a folder: it looks there first, inside the draft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Prefilled, TextPiece
from voicebot.knowledge.hygiene import without_signs
from voicebot.knowledge.matching import Finding, Sureness
from voicebot.knowledge.prompt import NOTE_BEGINS, with_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicebot.engines.protocols import Llm, Message, StopFlag

__all__ = ["AnsweringRules", "KnowingLlm"]

_FOLLOW_UP_WORDS = 5
"""So short a question may be about what the one before it was about: "and on Thursdays?"."""


@dataclass(frozen=True, slots=True)
class AnsweringRules:
    """What is made of what was found.

    Attributes:
        unknown: said where nothing was found; empty lets the model answer freely.
        shown: passages that the model is shown at most.
        quotes: a loose match is spoken as it stands rather than shown to the model.
        longest_spoken_characters: longer passages are never spoken as they stand.
    """

    unknown: str = ""
    shown: int = 1
    quotes: bool = False
    longest_spoken_characters: int = 220


class KnowingLlm:
    """Wraps an ``Llm``; itself one.

    A sure match is the answer, a loose one goes into the prompt, and without one the model answers
    freely or the bot says that it does not know.

    The wrapped model always reads the user's bare words first, whatever is found. How finished
    they are is known by the model alone (a question that is cut short matches as well as the
    whole), the turn's end hangs on it, and they have mostly been read while the user spoke.

    Args:
        llm: the model.
        find: looks a question up.
        rules: what is made of it.
        on_close: ends what belongs to the knowledge.
    """

    def __init__(
        self,
        llm: Llm,
        find: Callable[[str], Finding],
        rules: AnsweringRules,
        *,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._llm = llm
        self._find = find
        self._rules = rules
        self._on_close = on_close

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """See :class:`voicebot.engines.protocols.Llm`.

        ``Prefilled`` tells of the reading of the bare words; passages are read after it.

        Raises:
            EngineError: the encoder or the model failed.
        """
        finding = self._look_up(messages)
        fixed = self._fixed_answer(finding)
        if not fixed and finding.sureness is Sureness.NONE:
            yield from self._llm.generate(messages, stop)
            return
        prefilled = self._llm.prepare(messages, stop)
        if prefilled is None:
            return
        yield prefilled
        if fixed:
            yield TextPiece(fixed, tokens=0)
            return
        yield from _without_note(self._llm.generate(self._grounded(messages, finding), stop))

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        """See :class:`voicebot.engines.protocols.Llm`.

        A reply is begun ahead only where the model will write it, and then to what it will see.
        """
        if not write_tokens or not messages or messages[-1].role != "user":
            return self._llm.prepare(messages, stop)
        finding = self._look_up(messages)
        if not self._fixed_answer(finding) and finding.sureness is Sureness.NONE:
            return self._llm.prepare(messages, stop, write_tokens)
        prefilled = self._llm.prepare(messages, stop)
        if prefilled is not None and not self._fixed_answer(finding):
            self._llm.prepare(self._grounded(messages, finding), stop, write_tokens)
        return prefilled

    def close(self) -> None:
        """Close the model and the knowledge."""
        self._on_close()
        self._llm.close()

    def _look_up(self, messages: Sequence[Message]) -> Finding:
        if not messages or messages[-1].role != "user":
            return Finding(Sureness.NONE, ())
        question = messages[-1].content
        finding = self._find(question)
        if finding.sureness is not Sureness.NONE or len(question.split()) > _FOLLOW_UP_WORDS:
            return finding
        earlier = [one.content for one in messages[:-1] if one.role == "user"]
        if not earlier:
            return finding
        both = self._find(f"{earlier[-1]} {question}")
        # The earlier question alone may have found it, so it is never the answer itself.
        return Finding(
            Sureness.NONE if both.sureness is Sureness.NONE else Sureness.LOOSE, both.matches
        )

    def _fixed_answer(self, finding: Finding) -> str:
        """What is said without the model; empty if it is to answer."""
        if finding.sureness is Sureness.NONE:
            return self._rules.unknown
        best = finding.matches[0].passage
        is_short = best.kind != "code" and (
            best.kind == "answer" or len(best.text) <= self._rules.longest_spoken_characters
        )
        if finding.sureness is Sureness.SURE or (self._rules.quotes and is_short):
            return without_signs(best.text)
        return ""

    def _grounded(self, messages: Sequence[Message], finding: Finding) -> list[Message]:
        shown = [one.passage for one in finding.matches[: self._rules.shown]]
        return with_note(messages, shown)


def _without_note(pieces: Iterator[Prefilled | TextPiece]) -> Iterator[TextPiece]:
    """The text up to where the model begins to write a note of its own.

    What could be the beginning of one is held back until it is known not to be.
    """
    held = ""
    for piece in pieces:
        if not isinstance(piece, TextPiece):
            continue
        held += piece.text
        before, is_note, _ = held.partition(NOTE_BEGINS)
        if is_note:
            yield TextPiece(before, piece.tokens)
            return
        longest = min(len(held), len(NOTE_BEGINS) - 1)
        kept = next(
            (size for size in range(longest, 0, -1) if NOTE_BEGINS.startswith(held[-size:])), 0
        )
        free = len(held) - kept
        yield TextPiece(held[:free], piece.tokens)
        held = held[free:]
    if held:
        yield TextPiece(held, 0)
