"""The nearest-example classifier: a sentence belongs where the examples that are likest to it do.

Every example has a say that falls off with its distance (Dudani, "The distance-weighted
k-nearest-neighbor rule", 1976, with all examples as neighbours): it weighs exp(cosine / 0.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.guard.examples import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voicebot.engines.embeddings import Vectors

__all__ = ["NearestExamples", "NearestRules", "TopicScore"]

_REACH = 0.1
"""An example that is liker by this has e times the say."""

_NOTHING = -1.0


@dataclass(frozen=True, slots=True)
class NearestRules:
    """When a sentence belongs to a topic.

    Attributes:
        likeness: it is at least so like one of the topic's examples (a cosine).
        lead: the natural logarithm of the weight of all topics' examples, over that of the
            harmless ones, is at least this.
    """

    likeness: float
    lead: float


@dataclass(frozen=True, slots=True)
class TopicScore:
    """How a sentence stands to the topic that has the most say.

    Attributes:
        topic: its name.
        likeness: to the likest example of it.
        lead: see :class:`NearestRules`.
    """

    topic: str
    likeness: float
    lead: float

    def fits(self, rules: NearestRules) -> bool:
        """Whether that is enough to belong there."""
        return self.likeness >= rules.likeness and self.lead >= rules.lead


class NearestExamples:
    """Labelled examples as vectors.

    Args:
        topics: the topic of each example.
        vectors: shape (examples, width), float32, each row of length 1.
    """

    def __init__(self, topics: Sequence[str], vectors: Vectors) -> None:
        self._vectors = np.ascontiguousarray(vectors)
        labels = np.asarray(topics)
        self._rows = {topic: np.flatnonzero(labels == topic) for topic in dict.fromkeys(topics)}
        self._harmless = self._rows.pop(HARMLESS, np.zeros(0, np.int64))

    def score(self, vector: NDArray[np.float32], left_out: Sequence[int] = ()) -> TopicScore | None:
        """The topic with the most say; None if there is none but the harmless.

        Args:
            vector: shape (width,), of length 1.
            left_out: indices of examples that have no say, for measuring.
        """
        if not self._rows:
            return None
        likeness = self._vectors @ vector
        says = np.exp(likeness / _REACH)
        likeness[list(left_out)] = _NOTHING
        says[list(left_out)] = 0.0
        weights = {topic: float(says[rows].sum()) for topic, rows in self._rows.items()}
        topic = max(weights, key=weights.__getitem__)
        # What is like nothing at all is harmless.
        harmless = float(says[self._harmless].sum()) + 1.0
        return TopicScore(
            topic,
            likeness=float(likeness[self._rows[topic]].max()),
            lead=float(np.log(sum(weights.values()) + 1.0) - np.log(harmless)),
        )

    def classify(self, vector: NDArray[np.float32], rules: NearestRules) -> str | None:
        """The topic that a sentence belongs to, if any."""
        score = self.score(vector)
        return score.topic if score is not None and score.fits(rules) else None
