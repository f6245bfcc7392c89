"""Rotary positions: how fast each pair of a head's values turns, and how to turn keys back (pure).

Su et al., "RoFormer" (2021). A key that was read at position p is the key R(p) k, and R(a) R(b)
is R(a + b): a key that moves down by some tokens is turned back by as much, whatever it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["RopeStretch", "inverse_frequencies", "turn_back"]


@dataclass(frozen=True, slots=True)
class RopeStretch:
    """How Llama 3 stretches its rotations over a longer context than it was first trained on.

    The names are those of config.json; "The Llama 3 Herd of Models" (2024) has the idea, the
    published code has the formula.

    Attributes:
        factor: slow rotations are this many times slower.
        low_freq_factor: rotations that turn fewer times in the old context are slow.
        high_freq_factor: rotations that turn more often in the old context stay as they are.
        old_context: the context that the model was first trained on, in tokens.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    old_context: int

    @classmethod
    def from_config(cls, rope: Mapping[str, Any]) -> RopeStretch:
        """From ``rope_parameters`` or ``rope_scaling``.

        Raises:
            KeyError: a number is missing.
            ValueError: one is no number.
            TypeError: likewise.
        """
        return cls(
            float(rope["factor"]),
            float(rope["low_freq_factor"]),
            float(rope["high_freq_factor"]),
            int(rope["original_max_position_embeddings"]),
        )


def inverse_frequencies(
    head_width: int, rope_theta: float, stretch: RopeStretch | None = None
) -> NDArray[np.float64]:
    """Radians a token for each pair of a head's values, shape (head_width / 2,), float64."""
    halves = np.arange(0, head_width, 2) / head_width
    plain: NDArray[np.float64] = 1.0 / rope_theta**halves
    if stretch is None:
        return plain
    turns = stretch.old_context * plain / (2 * math.pi)
    span = stretch.high_freq_factor - stretch.low_freq_factor
    share_kept = np.clip((turns - stretch.low_freq_factor) / span, 0.0, 1.0)
    stretched: NDArray[np.float64] = plain * (share_kept + (1 - share_kept) / stretch.factor)
    return stretched


def turn_back(
    keys: NDArray[np.float32], frequencies: NDArray[np.float64], tokens: int
) -> NDArray[np.float32]:
    """Keys as if they had been read ``tokens`` earlier.

    Args:
        keys: shape (..., width), rotated in two halves as Llama's are.
        frequencies: as ``inverse_frequencies`` gives them, shape (width / 2,).
        tokens: how far they move.
    """
    angles = tokens * frequencies
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    first, second = np.split(keys, 2, axis=-1)
    turned: NDArray[np.float32] = np.concatenate(
        [first * cosines + second * sines, second * cosines - first * sines], axis=-1
    )
    return turned
