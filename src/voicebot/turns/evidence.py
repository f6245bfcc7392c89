"""What is known about whether a turn is over, while the silence at its end lasts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Look", "Reading", "TurnEvidence"]


@dataclass(frozen=True, slots=True)
class Look:
    """How complete the turn sounded to the turn-completeness model.

    Attributes:
        silence_ms: how much silence stood at the end of the audio that it judged.
        probability: its answer, 0 to 1.
    """

    silence_ms: float
    probability: float


@dataclass(frozen=True, slots=True)
class Reading:
    """How complete the turn reads.

    Attributes:
        text: the words so far; empty when none were understood.
        end_probability: the mass that the language model puts on the end of a sentence or message
            behind these words, 0 to 1; None if it cannot tell.
        confidence: how sure the recogniser is of the words, 0 to 1; None if it cannot tell.
    """

    text: str
    end_probability: float | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TurnEvidence:
    """All evidence about one ending of a turn.

    Attributes:
        looks: in the order in which they came; empty until the first one is in.
        reading: None until the words are known.
        earlier_pauses: how often the user has paused in this turn and gone on.
        pauses_ms: how long each pause was that this user has made, in all turns so far.
    """

    looks: tuple[Look, ...] = ()
    reading: Reading | None = None
    earlier_pauses: int = 0
    pauses_ms: tuple[float, ...] = ()
