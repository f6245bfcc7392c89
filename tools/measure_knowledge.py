"""Measure how long a query takes: reading it, and comparing it with ten thousand passages.

    python tools/measure_knowledge.py [--passages 10000] [--queries 300] [--seed 0]

The passages are sentences put together at random from small tables (always the same for a seed);
their vectors are computed once and kept in the user's cache folder, which takes minutes the first
time. Every query is another one, so that none is found read. Figures are milliseconds on one core;
``query`` is what a turn waits for, the sum of reading, searching and judging, measured as one.
How well passages are found is measured by ``voicebot knowledge evaluate``.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import platformdirs

from voicebot.engines.embeddings import SentenceEncoder
from voicebot.knowledge.folder import FolderContents, KnowledgeFolder
from voicebot.knowledge.knowledge import Knowledge
from voicebot.knowledge.matching import SENTENCE_RULES
from voicebot.knowledge.passages import Passage
from voicebot.knowledge.vector_cache import VectorCache
from voicebot.models.store import ModelStore, default_models_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ItemT = TypeVar("ItemT")

_THINGS = (
    "ticket office",
    "old lighthouse",
    "model railway",
    "north entrance",
    "glass workshop",
    "children's theatre",
    "roof garden",
    "lost property desk",
    "map room",
    "harbour pilot",
    "winter market",
    "reading corner",
)
_VERBS = ("opens", "closes", "was built", "is cleaned", "can be booked", "is shown", "moves")
_WHEN = ("at nine", "at noon", "on Mondays", "in spring", "every hour", "before dawn", "in 1880")
_WHERE = (
    "beside the gate",
    "on the second floor",
    "across the river",
    "behind the station",
    "under the clock",
    "in hall four",
)
_WHY = (
    "because visitors asked for it",
    "if the weather is fine",
    "unless there is a festival",
    "and everybody may watch",
    "so please be early",
)


class _MadeFolder(KnowledgeFolder):
    """Passages that stand in no file."""

    def __init__(self, passages: tuple[Passage, ...]) -> None:
        super().__init__(Path())
        self._passages = passages

    def read_if_changed(self) -> FolderContents | None:
        """All of them."""
        return FolderContents(self._passages, (), 1)


def made_passages(count: int, seed: int) -> tuple[Passage, ...]:
    """So many different passages."""
    generator = random.Random(seed)  # noqa: S311 - not for secrets
    texts: dict[str, None] = {}
    while len(texts) < count:
        number = generator.randrange(10_000)
        first, second = (
            f"The {generator.choice(_THINGS)} number {number} {generator.choice(_VERBS)} "
            f"{generator.choice(_WHEN)} {generator.choice(_WHERE)}"
            for _ in range(2)
        )
        texts[f"{first}, {generator.choice(_WHY)}. {second}."] = None
    return tuple(Passage(text, "made.txt", line) for line, text in enumerate(texts, start=1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    encoder = SentenceEncoder.load(
        ModelStore(default_models_dir()).path("all-minilm-l6-v2"), threads=1
    )
    print(f"encoder loaded in {time.perf_counter() - begun:.2f} s")
    cache_dir = platformdirs.user_cache_path("voicebot", appauthor=False)
    name = f"measured-{arguments.passages}-{arguments.seed}.npz"
    cache = VectorCache(cache_dir / name, encoder)
    folder = _MadeFolder(made_passages(arguments.passages, arguments.seed))
    knowledge = Knowledge(folder, encoder, rules=SENTENCE_RULES, cache=cache)
    begun = time.perf_counter()
    refreshed = knowledge.refresh()
    took_s = time.perf_counter() - begun
    if refreshed is not None:
        print(f"{refreshed.passages} passages, {refreshed.computed} computed, in {took_s:.1f} s")
    generator = random.Random(arguments.seed + 1)  # noqa: S311 - not for secrets
    queries = [
        f"can you tell me when the {generator.choice(_THINGS)} {generator.choice(_VERBS)} "
        f"and whether it is {generator.choice(_WHERE)} number {number}"
        for number in range(arguments.queries)
    ]
    vectors = [encoder.encode([query])[0] for query in queries]
    read_ms = _times_ms(lambda query: encoder.encode([query]), queries)
    search_ms = _times_ms(lambda vector: knowledge.index.search(vector, 8), vectors)
    query_ms = _times_ms(knowledge.find, queries)
    print(f"{'':>8} {'p50':>7} {'p95':>7}  ms, {len(queries)} queries")
    for row, times_ms in (("reading", read_ms), ("search", search_ms), ("query", query_ms)):
        p50, p95 = np.percentile(times_ms, [50, 95])
        print(f"{row:>8} {p50:7.2f} {p95:7.2f}")


def _times_ms(call: Callable[[ItemT], object], items: Sequence[ItemT]) -> list[float]:
    times_ms = []
    for item in items:
        begun = time.perf_counter()
        call(item)
        times_ms.append(1e3 * (time.perf_counter() - begun))
    return times_ms


if __name__ == "__main__":
    main()
