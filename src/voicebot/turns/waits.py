"""How much silence ends a turn, given the evidence: the rules that can be chosen (pure).

``FusedWait`` is what the settings choose if nothing else is said. The others are there to fall back
on and to compare with: ``PlainWait`` is three waits by hand, ``SmartTurnWait`` is one look at the
sound of the turn, as voice agents commonly use it, and ``SilenceWait`` is voice activity alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from voicebot.events import CommitReason
from voicebot.turns.fusion import FusedModel, cut_in_cost_ms, fused_model

if TYPE_CHECKING:
    from voicebot.turns.evidence import TurnEvidence

__all__ = ["FusedWait", "PlainWait", "SilenceWait", "SmartTurnWait", "Wait", "WaitRule"]

_LIKELY_PROBABILITY = 0.5
_SURE_PROBABILITY = 0.9


@dataclass(frozen=True, slots=True)
class Wait:
    """The silence that ends the turn as the evidence stands, and how sure that is."""

    wait_ms: float
    reason: CommitReason


class WaitRule(Protocol):
    """Evidence in, wait out; asked anew whenever there is more evidence."""

    @property
    def shortest_ms(self) -> float:
        """The wait when nothing could make it surer."""
        ...

    @property
    def look_window_s(self) -> float:
        """How much of the latest audio a look is at; infinite for the whole turn."""
        ...

    def wait(self, evidence: TurnEvidence) -> Wait:
        """How much silence ends the turn."""
        ...

    def next_look_ms(self, silence_ms: float) -> float:
        """The silence at which to look at the sound again, after a look at ``silence_ms``."""
        ...


class _WholeTurn:
    """A rule that looks at all of the turn's sound."""

    __slots__ = ()

    @property
    def look_window_s(self) -> float:
        """No limit."""
        return math.inf


def _reason(probability: float) -> CommitReason:
    if probability >= _SURE_PROBABILITY:
        return CommitReason.SURE
    return CommitReason.LIKELY if probability >= _LIKELY_PROBABILITY else CommitReason.UNSURE


@dataclass(frozen=True, slots=True)
class FusedWait:
    """The wait that costs least, by the fused probability that the turn is over.

    If the user has finished, each 100 ms of waiting costs 100 ms; if they have not, a commit
    before they go on costs ``cut_in_cost_ms``. Pauses that are over after an exponential time of
    mean ``pause_ms`` (which follows the user's own pauses) have a constant hazard, so the log-odds
    of the end grow by one each ``pause_ms`` of silence, and it pays to commit at the first instant
    at which

        log-odds + silence / pause_ms ≥ log(cut_in_cost_ms / pause_ms).

    Args:
        eagerness: 0 to 1, see :func:`voicebot.turns.fusion.cut_in_cost_ms`.
        shortest_ms: never less.
        longest_ms: never more.
        unread_ms: never less while the words are not known: there would be nothing to say yet.
        model: of the probability.
    """

    eagerness: float = 0.5
    shortest_ms: float = 96.0
    longest_ms: float = 1300.0
    unread_ms: float = 600.0
    model: FusedModel = field(default_factory=fused_model)

    @property
    def look_window_s(self) -> float:
        """As the model was fitted."""
        return self.model.look_window_s

    def wait(self, evidence: TurnEvidence) -> Wait:
        """How much silence ends the turn."""
        log_odds = self.model.log_odds(evidence)
        pause_ms = self.model.user_pause_mean_ms(evidence.pauses_ms)
        wait_ms = pause_ms * (math.log(cut_in_cost_ms(self.eagerness) / pause_ms) - log_odds)
        shortest_ms = self.shortest_ms if evidence.reading is not None else self.unread_ms
        wait_ms = min(max(wait_ms, shortest_ms), self.longest_ms)
        return Wait(wait_ms, _reason(1.0 / (1.0 + math.exp(-log_odds))))

    def next_look_ms(self, silence_ms: float) -> float:
        """A few early looks: later ones judge the silence more than the voice."""
        following_ms = silence_ms + self.model.look_every_ms
        return following_ms if following_ms <= self.model.latest_look_ms else math.inf


@dataclass(frozen=True, slots=True)
class PlainWait(_WholeTurn):
    """Three waits, by thresholds.

    Attributes:
        sure_ms, likely_ms, unsure_ms: silence before the commit, by evidence.
        sure_probability, likely_probability: completion at which the evidence is sure, likely.
        unfinished_probability: end probability of the words up to which they count as unfinished,
            whatever they sound like.
    """

    sure_ms: float = 200.0
    likely_ms: float = 500.0
    unsure_ms: float = 1200.0
    sure_probability: float = 0.9
    likely_probability: float = 0.5
    unfinished_probability: float = 0.015

    @property
    def shortest_ms(self) -> float:
        """The wait when the turn is surely complete."""
        return self.sure_ms

    def wait(self, evidence: TurnEvidence) -> Wait:
        """How much silence ends the turn, by the latest look."""
        reading = evidence.reading
        unfinished = (
            reading is not None
            and reading.end_probability is not None
            and reading.end_probability <= self.unfinished_probability
        )
        unsure = Wait(self.unsure_ms, CommitReason.UNSURE)
        likely = Wait(self.likely_ms, CommitReason.LIKELY)
        if not evidence.looks:
            # Nothing has judged the sound yet: an unfinished text is reason enough for patience.
            return unsure if unfinished else likely
        completion = evidence.looks[-1].probability
        if completion >= self.sure_probability:
            return likely if unfinished else Wait(self.sure_ms, CommitReason.SURE)
        if completion >= self.likely_probability and not unfinished:
            return likely
        return unsure

    def next_look_ms(self, silence_ms: float) -> float:
        """At twice the silence each time."""
        return 2 * silence_ms


@dataclass(frozen=True, slots=True)
class SmartTurnWait(_WholeTurn):
    """One look at the sound, after a fixed silence; the longest wait if that is not "complete".

    Args:
        eagerness: 0 to 1: completion from ``1 - eagerness`` on counts as complete.
        look_ms: silence before the look.
        longest_ms: the wait of a turn that does not sound complete.
    """

    eagerness: float = 0.5
    look_ms: float = 200.0
    longest_ms: float = 1300.0

    @property
    def shortest_ms(self) -> float:
        """The silence before the look."""
        return self.look_ms

    def wait(self, evidence: TurnEvidence) -> Wait:
        """How much silence ends the turn, by the first look that came late enough."""
        look = next((x for x in evidence.looks if x.silence_ms >= self.look_ms), None)
        if look is None:
            return Wait(self.longest_ms, CommitReason.UNSURE)
        threshold = min(max(1.0 - self.eagerness, 0.01), 0.99)
        if look.probability >= threshold:
            return Wait(self.look_ms, _reason(look.probability))
        return Wait(self.longest_ms, CommitReason.UNSURE)

    def next_look_ms(self, silence_ms: float) -> float:
        """The one look."""
        return self.look_ms if silence_ms < self.look_ms else math.inf


@dataclass(frozen=True, slots=True)
class SilenceWait(_WholeTurn):
    """A fixed silence, whatever was said and however it sounded.

    Args:
        eagerness: 0 to 1: from ``longest_ms`` down to ``shortest_ms``, evenly.
        shortest_ms: at eagerness 1.
        longest_ms: at eagerness 0.
    """

    eagerness: float = 0.5
    shortest_ms: float = 96.0
    longest_ms: float = 1300.0

    def wait(self, evidence: TurnEvidence) -> Wait:  # noqa: ARG002  # the point of it
        """How much silence ends the turn."""
        wait_ms = self.longest_ms + self.eagerness * (self.shortest_ms - self.longest_ms)
        return Wait(wait_ms, CommitReason.LIKELY)

    def next_look_ms(self, silence_ms: float) -> float:  # noqa: ARG002
        """Never: the sound is not asked."""
        return math.inf
