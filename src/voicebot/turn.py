"""The state of one turn of the user, from its onset to its close."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicebot.events import Outcome, TurnClosed
from voicebot.timeline import Timeline

if TYPE_CHECKING:
    import asyncio

    from voicebot.answer import Answer

__all__ = ["Turn"]


@dataclass(slots=True)
class Turn:
    """A turn as the session knows it.

    Attributes:
        number: counts from 1.
        speech_start_s: the estimated onset.
        audio_start_s: earlier than its speech if it takes up a merged turn.
        speech_end_s: the estimated end of speech; None until there is one.
        is_committed: whether the endpointer has taken it to be over.
        is_closed: whether all is said of it.
        answer: the present draft, or the reply.
        task: what runs it.
        drafts_started: how many answers were begun for it.
        discarded: those made in vain.
        is_typed: the user wrote it.
        repeats: the turn whose reply is said again, 0 for an announcement; then there are no words
            of the user.
    """

    number: int
    speech_start_s: float
    audio_start_s: float
    speech_end_s: float | None = None
    is_committed: bool = False
    is_closed: bool = False
    answer: Answer | None = None
    task: asyncio.Task[None] | None = None
    drafts_started: int = 0
    discarded: list[Answer] = field(default_factory=list)
    is_typed: bool = False
    repeats: int | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether it was begun by a key, not by speech."""
        return self.is_typed or self.repeats is not None

    def was_audible(self, before_s: float) -> bool:
        """Whether its reply had begun to be heard before an instant."""
        starts_s = self.answer.starts_s if self.answer is not None else None
        return starts_s is not None and starts_s < before_s

    def count_discarded(self) -> None:
        """Its draft was made in vain."""
        if self.answer is not None:
            self.discarded.append(self.answer)

    def facts(self, outcome: Outcome, heard_until_s: float) -> TurnClosed:
        """All there is to know about it once it is over.

        Args:
            outcome: how it ended.
            heard_until_s: the instant at which its reply fell silent; infinite if it ended.
        """
        answer = self.answer
        return TurnClosed(
            turn=self.number,
            outcome=outcome,
            transcript=answer.transcript if answer is not None else "",
            reply=answer.text if answer is not None else "",
            heard=answer.heard_text(heard_until_s) if answer is not None else "",
            speech_start_s=self.speech_start_s,
            speech_end_s=self.speech_end_s,
            timeline=answer.timeline.copy() if answer is not None else Timeline(),
            drafts_started=self.drafts_started,
            drafts_discarded=len(self.discarded),
            discarded_tokens=sum(draft.tokens for draft in self.discarded),
            discarded_cpu_s=sum(draft.cpu_s for draft in self.discarded),
            failure=answer.failure if answer is not None else None,
            is_typed=self.is_typed,
        )
