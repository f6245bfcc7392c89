"""BM25, the yardstick that search by meaning is held against.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the
usual k1 = 1.5 and b = 0.75, and Lucene's inverse document frequency, which is never negative.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bm25"]

_K1, _B = 1.5, 0.75
_WORD = re.compile(r"[^\W_]+")


class Bm25:
    """Ranks texts by the words that they share with a query.

    Args:
        texts: what is searched.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(_words(text)) for text in texts]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = sum(self._lengths) / max(1, len(texts)) or 1.0
        containing = Counter(word for counts in self._counts for word in counts)
        total = len(texts)
        self._weights = {
            word: math.log(1 + (total - count + 0.5) / (count + 0.5))
            for word, count in containing.items()
        }

    def search(self, query: str, count: int) -> list[int]:
        """Indices of the ``count`` best texts, the best first; of equals the earlier first."""
        words = _words(query)
        scores = [self._score(words, index) for index in range(len(self._counts))]
        return sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:count]

    def _score(self, words: Sequence[str], index: int) -> float:
        counts = self._counts[index]
        room = _K1 * (1 - _B + _B * self._lengths[index] / self._mean_length)
        return sum(
            self._weights[word] * counts[word] * (_K1 + 1) / (counts[word] + room)
            for word in words
            if word in counts
        )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
