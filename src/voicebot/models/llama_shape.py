"""What is known of a Llama checkpoint before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["GRAPH_NAME", "LlamaShape"]

GRAPH_NAME = "llama.onnx"
"""The file in a model's folder that holds its graph, if it has one."""


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The facts of config.json that the arithmetic needs."""

    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    norm_epsilon: float
    rope_theta: float
    context_tokens: int

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LlamaShape | None:
        """From a parsed config.json; None if it is a variant that this module does not cover."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        covered = (
            config.get("model_type") == "llama"
            and config.get("hidden_act", "silu") == "silu"
            and not config.get("attention_bias")
            and not config.get("mlp_bias")
            and not config.get("quantization_config")
            and rope.get("rope_type", rope.get("type", "default")) == "default"
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
                context_tokens=int(config["max_position_embeddings"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
