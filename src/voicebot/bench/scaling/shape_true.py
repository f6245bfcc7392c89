"""Language models with random weights in the shapes of Llama's family: a ladder of sizes.

Reading a token costs the same whatever the weights are, so times are honest; what such a model
writes means nothing, and its folder says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import OutputError
from voicebot.models.llama_shape import GRAPH_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LADDER", "Rung", "write_rung"]

_VOCABULARY = 49_152
_HEAD_WIDTH = 64
_WEIGHTS_NAME = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Rung:
    """A size: layers, and heads of width 64, of which a third share keys and values.

    The feed-forward part is 8/3 of the width, as in Llama (Touvron et al., 2023).
    """

    layers: int
    heads: int

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return self.heads * _HEAD_WIDTH

    @property
    def key_value_heads(self) -> int:
        """Of grouped-query attention."""
        return max(1, self.heads // 3)

    @property
    def feed_forward(self) -> int:
        """Its width, a multiple of 64."""
        return round(self.width * 8 / 3 / 64) * 64

    @property
    def parameters(self) -> int:
        """All of them; the embedding, which is the output matrix too, counts once."""
        attention = self.width * _HEAD_WIDTH * (2 * self.heads + 2 * self.key_value_heads)
        layer = attention + 3 * self.width * self.feed_forward + 2 * self.width
        return self.layers * layer + _VOCABULARY * self.width + self.width

    @property
    def name(self) -> str:
        """Its size in words: ``135M``."""
        millions = self.parameters / 1e6
        return f"{millions:.0f}M" if millions < 1000 else f"{millions / 1000:.1f}B"  # noqa: PLR2004


LADDER = (
    Rung(8, 3),
    Rung(12, 6),
    Rung(30, 9),
    Rung(24, 12),
    Rung(32, 15),
    Rung(28, 21),
    Rung(28, 27),
)
"""From some ten million parameters to more than a billion; the third is SmolLM2-135M's shape."""


def write_rung(rung: Rung, folder: Path, *, seed: int = 0) -> Path:
    """Write a model folder with its graph, unless it is there already.

    Args:
        rung: the size.
        folder: where ladders are kept; the model gets a folder of its own in it.
        seed: of the weights.

    Returns:
        The model's folder.

    Raises:
        OutputError: it cannot be written.
    """
    place = folder / f"shape-true-{rung.name}"
    if (place / GRAPH_NAME).is_file():
        return place
    from safetensors.numpy import save_file  # noqa: PLC0415 - heavy, so loaded when needed

    from voicebot.models.llama_onnx import write_llama_onnx  # noqa: PLC0415

    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps(_config(rung), indent=1), encoding="utf-8")
        save_file(_weights(rung, seed), place / _WEIGHTS_NAME)
        unfinished = place / f"{GRAPH_NAME}.unfinished"
        write_llama_onnx(place, unfinished)
        unfinished.replace(place / GRAPH_NAME)
        # The graph holds all that is read from here on.
        (place / _WEIGHTS_NAME).unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write {place}: {error.strerror or error}", "free some space there"
        ) from error
    return place


def _config(rung: Rung) -> dict[str, object]:
    return {
        "model_type": "llama",
        "voicebot_weights": f"shape-true: {rung.name}",
        "hidden_size": rung.width,
        "intermediate_size": rung.feed_forward,
        "num_hidden_layers": rung.layers,
        "num_attention_heads": rung.heads,
        "num_key_value_heads": rung.key_value_heads,
        "head_dim": _HEAD_WIDTH,
        "vocab_size": _VOCABULARY,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
    }


def _weights(rung: Rung, seed: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        made: NDArray[np.float32] = rng.standard_normal((rows, columns), dtype=np.float32)
        return made * np.float32(0.02)

    width, queries = rung.width, rung.heads * _HEAD_WIDTH
    keys = rung.key_value_heads * _HEAD_WIDTH
    ones = np.ones(width, np.float32)
    weights = {"model.embed_tokens.weight": matrix(_VOCABULARY, width), "model.norm.weight": ones}
    for index in range(rung.layers):
        at = f"model.layers.{index}."
        weights |= {
            f"{at}input_layernorm.weight": ones,
            f"{at}post_attention_layernorm.weight": ones,
            f"{at}self_attn.q_proj.weight": matrix(queries, width),
            f"{at}self_attn.k_proj.weight": matrix(keys, width),
            f"{at}self_attn.v_proj.weight": matrix(keys, width),
            f"{at}self_attn.o_proj.weight": matrix(width, queries),
            f"{at}mlp.gate_proj.weight": matrix(rung.feed_forward, width),
            f"{at}mlp.up_proj.weight": matrix(rung.feed_forward, width),
            f"{at}mlp.down_proj.weight": matrix(width, rung.feed_forward),
        }
    return weights
