"""A reply that plays on while the user speaks over it, in the modes that do not stop at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.turns.interruption import InterruptionRules, Intrusion, Verdict, judge

if TYPE_CHECKING:
    from voicebot.answer import Answer
    from voicebot.turn import Turn

__all__ = ["TalkedOver"]


@dataclass(slots=True)
class TalkedOver:
    """A turn whose reply plays on.

    Attributes:
        turn: the turn that it answers.
        answer: the reply.
        onset_s: the estimated onset of the speech over it.
        is_meant: whether that speech is to be answered, once the reply is over.
    """

    turn: Turn
    answer: Answer
    onset_s: float
    is_meant: bool = False

    def weigh(
        self, speech_end_s: float, transcript: str, *, is_over: bool, rules: InterruptionRules
    ) -> Verdict:
        """Whether the speech over it is meant, by the latest of it."""
        intrusion = Intrusion(
            speech_ms=(speech_end_s - self.onset_s) * 1000.0,
            words=transcript,
            is_asked=self.answer.text.endswith("?"),
            is_over=is_over,
        )
        return judge(intrusion, rules)
