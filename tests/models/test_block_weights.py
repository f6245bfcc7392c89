from __future__ import annotations

import numpy as np
import pytest

from voicebot.models.block_weights import (
    as_four_bits,
    as_signed_bytes,
    in_eight_bits,
    largest_error,
    restored,
)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def of_four_bits(rows: int, columns: int) -> np.ndarray:
    """As a Q4_1 file holds it: level times scale plus minimum, each block with its own two."""
    generator = np.random.default_rng(1)
    levels = generator.integers(0, 16, (rows, columns // 32, 32))
    levels[..., 0], levels[..., 1] = 0, 15
    scales = generator.uniform(0.01, 0.1, (rows, columns // 32, 1))
    minima = generator.uniform(-1.5, 0.0, (rows, columns // 32, 1))
    return (levels * scales + minima).astype(np.float32).reshape(rows, columns)


def test_four_bits_are_found_again() -> None:
    weight = of_four_bits(6, 96)
    blocks = as_four_bits(weight)
    assert blocks is not None
    assert blocks.bits == 4
    assert blocks.levels.max() == 15
    np.testing.assert_allclose(restored(blocks), weight, atol=1e-6)


def test_without_its_remainders_a_matrix_of_four_bits_is_another() -> None:
    weight = of_four_bits(6, 96)
    blocks = as_four_bits(weight)
    assert blocks is not None
    assert blocks.remainders is not None
    assert np.abs(blocks.remainders).max() > 0.2 * blocks.scales.min()


def test_a_matrix_of_free_values_was_not_of_four_bits() -> None:
    assert as_four_bits(drawn(6, 96)) is None


@pytest.mark.parametrize("quantise", [in_eight_bits, as_signed_bytes])
def test_eight_bits_lose_at_most_half_a_level(quantise: object) -> None:
    weight = drawn(7, 64)
    assert callable(quantise)
    blocks = quantise(weight)
    error = np.abs(restored(blocks) - weight).reshape(7, 2, 32).max(-1)
    # The zero is a whole level, so the outermost value of a block may lose a whole one.
    assert (error <= 1.01 * blocks.scales).all()
    assert 0 < largest_error(blocks, weight) < 0.01


@pytest.mark.parametrize("quantise", [in_eight_bits, as_signed_bytes])
def test_zeros_stay_zeros(quantise: object) -> None:
    assert callable(quantise)
    assert not restored(quantise(np.zeros((2, 32), np.float32))).any()


def test_two_levels_share_a_byte_the_first_one_low() -> None:
    blocks = as_four_bits(of_four_bits(2, 96))
    assert blocks is not None
    packed = blocks.packed_levels()
    assert packed.shape == (2, 3, 16)
    assert (packed & 15 == blocks.levels[..., 0::2]).all()
    assert (packed >> 4 == blocks.levels[..., 1::2]).all()
    zeros = blocks.packed_zeros()  # three blocks a row take two bytes
    assert zeros.shape == (2, 2)
    assert (zeros[:, 1] == blocks.zeros[:, 2]).all()
