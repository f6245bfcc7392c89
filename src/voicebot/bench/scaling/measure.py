"""Timing a ladder of language models: tokens written and read, by threads and by context."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.engines.causal_network import CausalNetwork

__all__ = ["READ_TOKENS", "WRITTEN_TOKENS", "LadderTimes", "measure_network"]

READ_TOKENS = 8
"""What is left to be read of a question when it ends, since the rest was read ahead."""

WRITTEN_TOKENS = 7
"""A first clause."""

_TOKENS_AT_ONCE = 64
_TIMED_TOKENS = 12


@dataclass(slots=True)
class LadderTimes:
    """What was measured of one model with one number of threads, in ms.

    Attributes:
        write: by the length of the context, ms a token written, once a round.
        first_clause: ms from the end of a question to its first clause, once a round.
    """

    write: dict[int, list[float]] = field(default_factory=dict)
    first_clause: list[float] = field(default_factory=list)


def measure_network(
    network: CausalNetwork,
    times: LadderTimes,
    *,
    contexts: Sequence[int],
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Measure one round.

    Args:
        network: loaded; what it has read is forgotten.
        times: takes the figures.
        contexts: how many tokens have been read before, ascending.
        seed: which tokens; random weights do not mind.
        clock: gives seconds.
    """
    rng = np.random.default_rng(seed)
    network.keep(0)
    length = 0
    for number, context in enumerate(contexts):
        while length < context:
            count = min(_TOKENS_AT_ONCE, context - length)
            network.read(_tokens(rng, count), [count - 1])
            length += count
        if number == 0:
            begun = clock()
            network.read(_tokens(rng, READ_TOKENS), [READ_TOKENS - 1])
            for _ in range(WRITTEN_TOKENS - 1):  # the reading gives the first one
                network.read(_tokens(rng, 1), [0])
            times.first_clause.append((clock() - begun) * 1e3)
            network.keep(context)
        taken = []
        for _ in range(_TIMED_TOKENS):
            begun = clock()
            network.read(_tokens(rng, 1), [0])
            taken.append((clock() - begun) * 1e3)
        times.write.setdefault(context, []).append(float(np.median(taken)))
        network.keep(context)


def _tokens(rng: np.random.Generator, count: int) -> list[int]:
    # Ordinary tokens: the first hundred of a vocabulary are often special.
    return [int(token) for token in rng.integers(100, 40_000, count)]
