"""Weights in blocks of 32 with few bits each, as onnxruntime's ``MatMulNBits`` takes them (pure).

A block holds ``scale * (level - zero)``. Files of four bits (GGUF's Q4_1) hold ``scale * level +
minimum`` instead; the minimum is seldom a whole number of scales away from zero, and rounding it
garbles a small model. So what rounding left over, one number a block, stands beside the block:
its product is that of the remainder with the sum of the block's inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BLOCK",
    "BlockWeights",
    "as_four_bits",
    "as_signed_bytes",
    "in_eight_bits",
    "largest_error",
    "restored",
]

BLOCK = 32
"""Weights that share a scale."""

_TINY = 1e-12
_LEVELS_OF_FOUR_BITS = 15
_LEVELS_OF_EIGHT_BITS = 255
_SIGNED_LEVELS = 127
_MIDDLE_OF_EIGHT_BITS = 128
_EVEN = 0.1


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """A matrix of n outputs and k inputs in b = k / 32 blocks a row.

    Attributes:
        bits: 4 or 8.
        levels: shape (n, b, 32), uint8, each below 2 ** bits.
        scales: shape (n, b), float32.
        zeros: the level that stands for zero, shape (n, b), uint8.
        remainders: what is added to each weight of a block, shape (n, b), float32; None for none.
    """

    bits: int
    levels: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8]
    remainders: NDArray[np.float32] | None = None

    def packed_levels(self) -> NDArray[np.uint8]:
        """Shape (n, b, 4 * bits): two levels of four bits share a byte, the first one low."""
        return self.levels if self.bits == 8 else _packed(self.levels)  # noqa: PLR2004

    def packed_zeros(self) -> NDArray[np.uint8]:
        """Shape (n, (b * bits + 7) // 8)."""
        return self.zeros if self.bits == 8 else _packed(self.zeros)  # noqa: PLR2004


def as_four_bits(weight: NDArray[np.float32]) -> BlockWeights | None:
    """A matrix that was stored in four bits, in four bits again; None if it was not.

    Args:
        weight: shape (n, k), k a multiple of 32; every block takes at most sixteen evenly
            spaced values, the outermost of which occur.
    """
    blocks = _blocks(weight)
    lowest = blocks.min(-1)
    scales = np.maximum((blocks.max(-1) - lowest) / _LEVELS_OF_FOUR_BITS, _TINY)
    exact = (blocks - lowest[..., None]) / scales[..., None]
    levels = np.rint(exact)
    # Rounding to bfloat16 moves a weight by up to 1/256 of itself, a small part of a level.
    if np.sqrt(np.mean((exact - levels) ** 2)) > _EVEN:
        return None
    zeros = np.clip(np.rint(-lowest / scales), 0, _LEVELS_OF_FOUR_BITS)
    return BlockWeights(
        4, levels.astype(np.uint8), scales, zeros.astype(np.uint8), lowest + scales * zeros
    )


def in_eight_bits(weight: NDArray[np.float32]) -> BlockWeights:
    """Any matrix, each block rounded to 256 evenly spaced levels that include zero.

    Args:
        weight: shape (n, k), k a multiple of 32.
    """
    blocks = _blocks(weight)
    lowest, highest = np.minimum(blocks.min(-1), 0), np.maximum(blocks.max(-1), 0)
    scales = np.maximum((highest - lowest) / _LEVELS_OF_EIGHT_BITS, _TINY)
    zeros = np.rint(-lowest / scales)
    levels = np.rint(blocks / scales[..., None]) + zeros[..., None]
    levels = np.clip(levels, 0, _LEVELS_OF_EIGHT_BITS)
    return BlockWeights(8, levels.astype(np.uint8), scales, zeros.astype(np.uint8))


def as_signed_bytes(weight: NDArray[np.float32]) -> BlockWeights:
    """Any matrix in eight bits around a zero at 128: the form of GGUF's Q8_0.

    Args:
        weight: shape (n, k), k a multiple of 32.
    """
    blocks = _blocks(weight)
    scales = np.maximum(np.abs(blocks).max(-1) / _SIGNED_LEVELS, _TINY)
    levels = np.rint(blocks / scales[..., None]) + _MIDDLE_OF_EIGHT_BITS
    zeros = np.full(scales.shape, _MIDDLE_OF_EIGHT_BITS, np.uint8)
    return BlockWeights(8, levels.astype(np.uint8), scales, zeros)


def restored(blocks: BlockWeights) -> NDArray[np.float32]:
    """The matrix that ``blocks`` stands for, shape (n, k)."""
    weight = blocks.levels.astype(np.float32) - blocks.zeros[..., None].astype(np.float32)
    weight *= blocks.scales[..., None]
    if blocks.remainders is not None:
        weight += blocks.remainders[..., None]
    return weight.reshape(len(weight), -1)


def largest_error(blocks: BlockWeights, weight: NDArray[np.float32]) -> float:
    """The largest difference of a weight, as a share of the largest weight."""
    largest = float(np.abs(weight).max())
    return float(np.abs(restored(blocks) - weight).max()) / max(largest, _TINY)


def _blocks(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(weight, np.float32).reshape(len(weight), -1, BLOCK)


def _packed(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if levels.shape[-1] % 2:
        levels = np.concatenate([levels, np.zeros_like(levels[..., :1])], -1)
    packed: NDArray[np.uint8] = levels[..., 0::2] | np.left_shift(levels[..., 1::2], np.uint8(4))
    return packed
