"""One probability that the turn is over, from all the evidence (pure).

A logistic model over a few features: how complete the turn sounds (smart-turn's log-odds, averaged
over the early looks), how complete it reads (the language model's own end-of-turn mass), how long
it is, whether it is being spelled or counted out, and how often the user has already paused in it.
Its numbers are in ``fusion.json``; ``tools/fit_turn_evidence.py`` computes them and says how well
they predict for speakers that they were not fitted to.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from voicebot.text.spelled import is_spelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.turns.evidence import TurnEvidence

__all__ = [
    "FEATURES",
    "FusedModel",
    "cut_in_cost_ms",
    "features",
    "fused_model",
]

FEATURES = ("sound", "words_end", "confidence", "length", "spelled", "earlier_pauses")
"""The features, in their order; ``features`` says what each is."""

_SURE = 0.995
_LEAST_END_PROBABILITY = 0.001
_MANY_PAUSES = 3
_FEW_WORDS = 3
_MANY_WORDS = 10
_PRIOR_PAUSES = 8
_MIDDLE_COST_MS = 6_500.0


def cut_in_cost_ms(eagerness: float) -> float:
    """The price of a cut-in, in milliseconds of waiting: 65 s at 0, 6.5 s at 0.5, 0.65 s at 1."""
    return float(_MIDDLE_COST_MS * 10.0 ** (1.0 - 2.0 * eagerness))


def features(evidence: TurnEvidence, *, latest_look_ms: float) -> dict[str, float | None]:
    """The features by name; None where nothing is known.

    ``sound``: mean log-odds of the looks at up to ``latest_look_ms`` of silence (of the first look
    if all are later). ``words_end``: logarithm of the end probability of the words; words that were
    not understood are as open as words can be. ``length``: logarithm of the number of words, from
    three to ten: a longer turn is likelier over, but neither "stop" nor a story should be odd.
    ``confidence``: the recogniser's; who was understood badly may not have been heard to the end.
    ``spelled``: 1 if the last word is a letter or a number. ``earlier_pauses``: up to three.
    """
    early = [look for look in evidence.looks if look.silence_ms <= latest_look_ms]
    looks = early or list(evidence.looks[:1])
    found: dict[str, float | None] = dict.fromkeys(FEATURES)
    if looks:
        found["sound"] = sum(_log_odds(look.probability) for look in looks) / len(looks)
    reading = evidence.reading
    if reading is not None:
        if not reading.text:
            found["words_end"] = math.log(2 * _LEAST_END_PROBABILITY)
        elif reading.end_probability is not None:
            found["words_end"] = math.log(reading.end_probability + _LEAST_END_PROBABILITY)
        if reading.text:
            found["confidence"] = reading.confidence
        words = min(max(len(reading.text.split()), _FEW_WORDS), _MANY_WORDS)
        found["length"] = math.log(words)
        found["spelled"] = float(is_spelled(reading.text))
    found["earlier_pauses"] = float(min(evidence.earlier_pauses, _MANY_PAUSES))
    return found


@dataclass(frozen=True, slots=True)
class FusedModel:
    """The fitted numbers.

    Attributes:
        intercept: log-odds when all features are 0.
        weights: log-odds per unit of each feature.
        means: of each feature in the data of the fit; stands in where a feature is not known.
        pause_mean_ms: mean length, beyond ``quickest_commit_ms``, that pauses which outlast it are
            taken to have.
        quickest_commit_ms: pauses that are shorter can never be cut into.
        look_window_s: how much of the latest audio is looked at; what came before says little.
        latest_look_ms: looks at more silence than this are not asked for, nor counted.
        look_every_ms: silence between two looks.
    """

    intercept: float
    weights: Mapping[str, float]
    means: Mapping[str, float]
    pause_mean_ms: float
    quickest_commit_ms: float
    look_window_s: float
    latest_look_ms: float
    look_every_ms: float

    def log_odds(self, evidence: TurnEvidence) -> float:
        """Natural log-odds that the turn is over, at the moment at which its silence began."""
        known = features(evidence, latest_look_ms=self.latest_look_ms)
        total = self.intercept
        for name in FEATURES:
            value = known[name]
            total += self.weights[name] * (self.means[name] if value is None else value)
        return total

    def user_pause_mean_ms(self, pauses_ms: Sequence[float]) -> float:
        """The mean pause of one user: the posterior mean, with the fitted one worth eight pauses.

        Args:
            pauses_ms: the pauses that they have made so far.
        """
        lasting = [
            pause_ms - self.quickest_commit_ms
            for pause_ms in pauses_ms
            if pause_ms > self.quickest_commit_ms
        ]
        known = _PRIOR_PAUSES + len(lasting)
        return (_PRIOR_PAUSES * self.pause_mean_ms + sum(lasting)) / known


@cache
def fused_model() -> FusedModel:
    """The model that ships."""
    text = resources.files("voicebot.turns").joinpath("fusion.json").read_text(encoding="utf-8")
    facts = json.loads(text)["model"]
    return FusedModel(**facts)


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 1.0 - _SURE), _SURE)
    return math.log(kept / (1.0 - kept))
