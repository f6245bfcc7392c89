"""Exact search: every passage's vector is compared with the query's, in one matrix product.

Ten thousand passages are four million multiplications, a few milliseconds on one core; an
approximate index would save some of them and sometimes miss the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voicebot.engines.embeddings import Vectors
    from voicebot.knowledge.passages import Passage

__all__ = ["FoundPassage", "PassageIndex"]


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage and its likeness to the query: the cosine, -1 to 1."""

    passage: Passage
    score: float


class PassageIndex:
    """Passages and the vectors of their searched texts; never changes.

    Args:
        passages: the passages.
        vectors: shape (searched texts of all passages, width), float32, each row of length 1, in
            the passages' order.
    """

    def __init__(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        self._passages = tuple(passages)
        owners = [at for at, one in enumerate(self._passages) for _ in one.searched_texts]
        if len(owners) != len(vectors):
            raise ValueError(f"{len(owners)} searched texts, but {len(vectors)} vectors")
        self._owners = np.asarray(owners, np.int64)
        self._vectors = np.ascontiguousarray(vectors)

    def __len__(self) -> int:
        """How many passages it holds."""
        return len(self._passages)

    @property
    def passages(self) -> tuple[Passage, ...]:
        """In the order in which they were given."""
        return self._passages

    def search(self, query: NDArray[np.float32], count: int) -> list[FoundPassage]:
        """The ``count`` likest passages, the best first; of equals the earlier first.

        Args:
            query: shape (width,), float32, of length 1.
            count: how many.
        """
        if not self._passages:
            return []
        # Not ``@``: BLAS would split the work among all cores, and wait for those that are busy
        # with the turn's models.
        scores = np.einsum("ij,j->i", self._vectors, query)
        # A passage has two vectors at most.
        wanted = min(2 * count, len(scores))
        best = np.argpartition(-scores, wanted - 1)[:wanted]
        best = best[np.lexsort((best, -scores[best]))]
        found: dict[int, float] = {}
        for at in best:
            found.setdefault(int(self._owners[at]), float(scores[at]))
        return [FoundPassage(self._passages[at], score) for at, score in found.items()][:count]
