"""What is known of a checkpoint of Llama's family before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicebot.models.rotary import RopeStretch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRAPH_NAME", "MOST_CONTEXT_TOKENS", "LlamaShape"]

GRAPH_NAME = "llama.onnx"
"""The file in a model's folder that holds its graph, if it has one."""

MOST_CONTEXT_TOKENS = 16_384
"""More than a spoken conversation is ever shown; it bounds the cache and the tables of angles."""

_FAMILY = ("llama", "qwen2", "qwen3")
"""Qwen 2 adds biases to queries, keys and values, Qwen 3 norms of queries and keys."""


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The facts of config.json that the arithmetic needs.

    Whether a layer has biases or norms of queries and keys shows in the names of its weights.
    """

    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    norm_epsilon: float
    rope_theta: float
    context_tokens: int
    rope_stretch: RopeStretch | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LlamaShape | None:
        """From a parsed config.json; None if it is a variant that this module does not cover."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        rope_type = rope.get("rope_type", rope.get("type", "default"))
        covered = (
            config.get("model_type") in _FAMILY
            and config.get("hidden_act", "silu") == "silu"
            and not config.get("use_sliding_window")
            and not config.get("mlp_bias")
            and not config.get("quantization_config")
            and rope_type in {"default", "llama3"}
            and not rope.get("partial_rotary_factor")
        )
        if not covered:
            return None
        try:
            heads = int(config["num_attention_heads"])
            return cls(
                layers=int(config["num_hidden_layers"]),
                heads=heads,
                key_value_heads=int(config.get("num_key_value_heads") or heads),
                head_width=int(config.get("head_dim") or config["hidden_size"] // heads),
                norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
                rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
                context_tokens=min(int(config["max_position_embeddings"]), MOST_CONTEXT_TOKENS),
                rope_stretch=RopeStretch.from_config(rope) if rope_type == "llama3" else None,
            )
        except (KeyError, TypeError, ValueError):
            return None
