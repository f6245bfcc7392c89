from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from voicebot.engines.llama_network import turned_back
from voicebot.models.rotary import RopeStretch, inverse_frequencies, turn_back

STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def test_the_stretched_angles_are_those_of_transformers() -> None:
    config = LlamaConfig(
        hidden_size=256, num_attention_heads=4, head_dim=64, rope_parameters=STRETCHED
    )
    expected, _ = ROPE_INIT_FUNCTIONS["llama3"](config)
    found = inverse_frequencies(64, 500_000.0, RopeStretch.from_config(STRETCHED))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def rotated(values: np.ndarray, position: int, frequencies: np.ndarray) -> np.ndarray:
    halves = len(frequencies)
    turned = (values[:halves] + 1j * values[halves:]) * np.exp(1j * position * frequencies)
    return np.concatenate([turned.real, turned.imag]).astype(np.float32)


@pytest.mark.parametrize(("position", "tokens"), [(40, 7), (8000, 7990), (5, 0)])
def test_a_key_turned_back_is_the_key_of_an_earlier_place(position: int, tokens: int) -> None:
    values = np.random.default_rng(1).standard_normal(16)
    frequencies = inverse_frequencies(16, 10_000.0)
    here = rotated(values, position, frequencies)[None]
    expected = rotated(values, position - tokens, frequencies)[None]
    np.testing.assert_allclose(turn_back(here, frequencies, tokens), expected, atol=1e-5)
    in_torch = turned_back(torch.from_numpy(here), frequencies, tokens)
    np.testing.assert_allclose(in_torch.numpy(), expected, atol=1e-5)


def test_values_that_are_not_rotated_stay() -> None:
    keys = torch.arange(10.0)[None]
    turned = turned_back(keys, inverse_frequencies(4, 10_000.0), 3)
    assert turned[0, 4:].tolist() == keys[0, 4:].tolist()
    assert turned[0, :4].tolist() != keys[0, :4].tolist()
