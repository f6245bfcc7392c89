"""Which tokens of the key-value cache a new prompt can take over (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "REPEATED_TOKENS",
    "Gap",
    "common_prefix_length",
    "dropped_gap",
    "repeats_itself",
    "reusable_length",
]

REPEATED_TOKENS = 8
"""A run of this many tokens that comes a second time in one reply is a loop."""


def common_prefix_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def reusable_length(
    cached: Sequence[int], prompt: Sequence[int], first_needed: int | None = None
) -> int:
    """How many cached tokens to keep for ``prompt``.

    Args:
        cached: token ids whose keys and values are in the cache.
        prompt: token ids to be read.
        first_needed: the first position whose logits are wanted and not known any more;
            this token and all behind it are read again. None if no logits are wanted.

    Returns:
        The length of the common prefix, cut so that ``first_needed`` is computed.
    """
    length = common_prefix_length(cached, prompt)
    return length if first_needed is None else min(length, first_needed)


@dataclass(frozen=True, slots=True)
class Gap:
    """What a prompt leaves out of what was read before.

    Attributes:
        begin: the first cached token that it lacks.
        end: the first cached token behind that it has again.
        length: how many tokens the cache and the prompt share from there on.
    """

    begin: int
    end: int
    length: int


def dropped_gap(cached: Sequence[int], prompt: Sequence[int], prefix_length: int) -> Gap | None:
    """Where ``prompt`` goes on in ``cached`` after something that was dropped from it.

    Args:
        cached: token ids whose keys and values are in the cache.
        prompt: token ids to be read.
        prefix_length: how many tokens both begin with.

    Returns:
        The gap behind which they share most; None if they share nothing.
    """
    if prefix_length >= len(prompt):
        return None
    best = Gap(prefix_length, prefix_length, 0)
    wanted = prompt[prefix_length:]
    for start in range(prefix_length + 1, len(cached)):
        if cached[start] == wanted[0]:
            length = common_prefix_length(cached[start:], wanted)
            if length > best.length:
                best = Gap(prefix_length, start, length)
    return best if best.length else None


def repeats_itself(token_ids: Sequence[int], run: int = REPEATED_TOKENS) -> bool:
    """Whether the last ``run`` tokens already stood earlier in ``token_ids``.

    Greedy decoding of a small model falls into loops that it never leaves. The earlier run may
    overlap the last one, so that a single token repeated ``run + 1`` times counts as well.
    """
    if len(token_ids) <= run:
        return False
    tail = list(token_ids[-run:])
    return any(
        list(token_ids[start : start + run]) == tail for start in range(len(token_ids) - run)
    )
