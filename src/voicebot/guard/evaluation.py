"""How well the nearest-example classifier tells topics from what only sounds like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.guard.examples import HARMLESS
from voicebot.guard.nearest import NearestExamples, NearestRules, TopicScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.engines.embeddings import TextEncoder
    from voicebot.guard.examples import Example

__all__ = ["Measured", "Outcome", "chosen_rules", "cross_validated", "left_one_out", "measured"]

_LIKENESSES = tuple(round(step * 0.05, 2) for step in range(4, 11))
_LEADS = tuple(round(step * 0.1, 1) for step in range(-8, 9))


@dataclass(frozen=True, slots=True)
class Outcome:
    """An example, and whether it would be stopped under which topic."""

    example: Example
    topic: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts of outcomes; a topic that is taken for another one is stopped, too.

    Attributes:
        stopped_right: examples of topics that are stopped.
        missed: examples of topics that are let pass.
        stopped_wrong: harmless examples that are stopped.
        passed: harmless examples that are let pass.
        named_right: of those that are rightly stopped, under their own topic.
    """

    stopped_right: int
    missed: int
    stopped_wrong: int
    passed: int
    named_right: int

    @property
    def precision(self) -> float:
        """The share of what is stopped that was to be stopped; 1 if nothing is."""
        stopped = self.stopped_right + self.stopped_wrong
        return self.stopped_right / stopped if stopped else 1.0

    @property
    def recall(self) -> float:
        """The share of what was to be stopped that is."""
        return self.stopped_right / max(1, self.stopped_right + self.missed)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def measured(outcomes: Sequence[Outcome]) -> Measured:
    """Count ``outcomes``."""
    guilty = [one for one in outcomes if one.example.topic != HARMLESS]
    harmless = [one for one in outcomes if one.example.topic == HARMLESS]
    stopped = [one for one in guilty if one.topic is not None]
    stopped_wrong = sum(one.topic is not None for one in harmless)
    return Measured(
        stopped_right=len(stopped),
        missed=len(guilty) - len(stopped),
        stopped_wrong=stopped_wrong,
        passed=len(harmless) - stopped_wrong,
        named_right=sum(one.topic == one.example.topic for one in stopped),
    )


def cross_validated(
    examples: Sequence[Example], encoder: TextEncoder, *, folds: int = 10, seed: int = 0
) -> list[Outcome]:
    """The outcome of each example, with neither it nor its fold among what is known.

    The thresholds are chosen anew for each fold, by the examples of the others.

    Args:
        examples: of one speaker.
        encoder: compares sentences.
        folds: how many parts.
        seed: decides which example falls into which part.
    """
    vectors = encoder.encode([one.sentence for one in examples])
    nearest = NearestExamples([one.topic for one in examples], vectors)
    order = np.random.default_rng(seed).permutation(len(examples))
    topics: dict[int, str | None] = {}
    for fold in range(folds):
        left_out = order[fold::folds].tolist()
        rest = [index for index in range(len(examples)) if index not in set(left_out)]
        scores = [nearest.score(vectors[index], [*left_out, index]) for index in rest]
        rules = _best_rules([examples[index] for index in rest], scores)
        for index in left_out:
            score = nearest.score(vectors[index], left_out)
            topics[index] = score.topic if score is not None and score.fits(rules) else None
    return [Outcome(example, topics[index]) for index, example in enumerate(examples)]


def left_one_out(
    examples: Sequence[Example], encoder: TextEncoder, rules: NearestRules
) -> list[Outcome]:
    """The outcome of each example under ``rules``, judged by all others."""
    return _outcomes(examples, _scores(examples, encoder), rules)


def chosen_rules(examples: Sequence[Example], encoder: TextEncoder) -> NearestRules:
    """The thresholds of the best F1, each example judged by all others."""
    return _best_rules(examples, _scores(examples, encoder))


def _scores(examples: Sequence[Example], encoder: TextEncoder) -> list[TopicScore | None]:
    vectors = encoder.encode([one.sentence for one in examples])
    nearest = NearestExamples([one.topic for one in examples], vectors)
    return [nearest.score(vectors[index], [index]) for index in range(len(examples))]


def _best_rules(examples: Sequence[Example], scores: Sequence[TopicScore | None]) -> NearestRules:
    grid = [NearestRules(likeness, lead) for likeness in _LIKENESSES for lead in _LEADS]

    def merit(rules: NearestRules) -> tuple[float, float, float]:
        # Of equals the strictest.
        f1 = measured(_outcomes(examples, scores, rules)).f1
        return f1, rules.lead, rules.likeness

    return max(grid, key=merit)


def _outcomes(
    examples: Sequence[Example], scores: Sequence[TopicScore | None], rules: NearestRules
) -> list[Outcome]:
    return [
        Outcome(example, score.topic if score is not None and score.fits(rules) else None)
        for example, score in zip(examples, scores, strict=True)
    ]
