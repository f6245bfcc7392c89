"""Llama and its relatives in plain torch: quick to load, quick at one token after the other.

Importing transformers' model classes takes longer than all other loading together, and its
layers cost as much in Python as in arithmetic when one token is read at a time. This module
does the same arithmetic in few steps: fused projections, a preallocated cache, and, with
``int8``, weights of one byte, since reading one token is bound by reading the weights.

Architecture: Touvron et al., "LLaMA" (2023); grouped-query attention, Ainslie et al. (2023);
biases of queries, keys and values, "Qwen2 Technical Report" (2024); norms of queries and keys,
"Qwen3 Technical Report" (2025).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from voicebot.errors import ModelDamagedError
from voicebot.models.out_of_memory import is_out_of_memory, out_of_memory
from voicebot.models.rotary import inverse_frequencies
from voicebot.models.safetensors_files import safetensors_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from voicebot.models.llama_shape import LlamaShape

__all__ = ["LlamaNetwork", "Precision", "int8_available", "turned_back"]

Precision: TypeAlias = Literal["int8", "bfloat16", "float32"]
"""How weights are held; ``int8`` is for writing, prompts are then read in bfloat16."""

_Linear: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

_FIRST_CACHE_TOKENS = 512


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: torch.Tensor
    query_key_value: _Linear
    attention_out: _Linear
    mlp_norm: torch.Tensor
    gate_up: _Linear
    down: _Linear
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None


class LlamaNetwork:
    """A Llama network with its key-value cache, on the processor.

    Args:
        weights: name to tensor, named as in transformers' checkpoints.
        shape: the network's shape.
        precision: how to hold the weights.
    """

    def __init__(
        self, weights: dict[str, torch.Tensor], shape: LlamaShape, precision: Precision
    ) -> None:
        import torch  # noqa: PLC0415 - heavy, so loaded when needed

        self._shape = shape
        dtype = torch.float32 if precision == "float32" else torch.bfloat16

        def linear(*names: str) -> _Linear:
            weight = torch.cat([weights[name] for name in names])
            biases = [name.removesuffix("weight") + "bias" for name in names]
            bias = None
            if biases[0] in weights:
                bias = torch.cat([weights[name] for name in biases]).to(dtype)
            if precision == "int8":
                return _byte_weights(weight, bias)
            return _plain(weight.to(dtype), bias)

        def norm(name: str) -> torch.Tensor | None:
            return weights[name].to(dtype) if name in weights else None

        embedding = weights["model.embed_tokens.weight"]
        tied = "lm_head.weight" not in weights
        self._embedding = embedding.to(dtype)
        self._dtype = dtype
        self._norm = weights["model.norm.weight"].to(dtype)
        self._head = linear("model.embed_tokens.weight" if tied else "lm_head.weight")
        self._layers = []
        for index in range(shape.layers):
            at = f"model.layers.{index}."
            self._layers.append(
                _Layer(
                    weights[at + "input_layernorm.weight"].to(dtype),
                    linear(*(f"{at}self_attn.{part}_proj.weight" for part in "qkv")),
                    linear(at + "self_attn.o_proj.weight"),
                    weights[at + "post_attention_layernorm.weight"].to(dtype),
                    linear(at + "mlp.gate_proj.weight", at + "mlp.up_proj.weight"),
                    linear(at + "mlp.down_proj.weight"),
                    norm(at + "self_attn.q_norm.weight"),
                    norm(at + "self_attn.k_norm.weight"),
                )
            )
        self._length = 0
        self._room = 0
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._reserve(min(_FIRST_CACHE_TOKENS, shape.context_tokens))

    @classmethod
    def load(cls, path: Path, shape: LlamaShape, *, precision: Precision) -> LlamaNetwork:
        """Load the safetensors in folder ``path``.

        Raises:
            ModelDamagedError: they cannot be read, or do not hold all weights.
        """
        from safetensors import SafetensorError  # noqa: PLC0415 - loaded when needed
        from safetensors.torch import load_file  # noqa: PLC0415

        weights: dict[str, torch.Tensor] = {}
        try:
            for file in safetensors_files(path):
                weights.update(load_file(file))
            return cls(weights, shape, precision)
        except KeyError as error:
            raise ModelDamagedError(
                f"the language model in {path} lacks weights: {error.args[0]}",
                "fetch the model again",
            ) from error
        except (SafetensorError, OSError, RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise ModelDamagedError(
                f"cannot load the language model in {path}: {error}", "fetch the model again"
            ) from error

    @property
    def reads_in_pieces(self) -> bool:
        """See :class:`voicebot.engines.causal_network.CausalNetwork`."""
        return True

    def keep(self, count: int) -> int:
        """See :class:`voicebot.engines.causal_network.CausalNetwork`."""
        self._length = min(self._length, count)
        return self._length

    def forget(self, begin: int, end: int) -> bool:
        """See :class:`voicebot.engines.causal_network.CausalNetwork`."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        shape = self._shape
        frequencies = inverse_frequencies(shape.head_width, shape.rope_theta, shape.rope_stretch)
        new_length = self._length - (end - begin)
        with torch.inference_mode():
            for keys, values in zip(self._keys, self._values, strict=True):
                moved = keys[:, :, end : self._length]
                keys[:, :, begin:new_length] = turned_back(moved, frequencies, end - begin)
                values[:, :, begin:new_length] = values[:, :, end : self._length].clone()
        self._length = new_length
        return True

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """See :class:`voicebot.engines.causal_network.CausalNetwork`."""
        import torch  # noqa: PLC0415 - heavy, loaded already
        import torch.nn.functional as nn  # noqa: PLC0415

        shape = self._shape
        count = len(token_ids)
        begin, end = self._length, self._length + count
        self._reserve(end)
        query_count = shape.heads
        rotated_count = shape.heads + shape.key_value_heads
        with torch.inference_mode():
            hidden = self._embedding[list(token_ids)].to(self._dtype)
            width = (hidden.shape[-1],)
            cosine, sine = self._cosine[begin:end, None], self._sine[begin:end, None]
            # One token sees all before it; several need the triangle.
            mask = torch.ones(count, end, dtype=torch.bool).tril(begin) if count > 1 else None
            for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
                normed = nn.rms_norm(hidden, width, layer.attention_norm, shape.norm_epsilon)
                projected = layer.query_key_value(normed).view(count, -1, shape.head_width)
                rotated = projected[:, :rotated_count]
                if layer.query_norm is not None and layer.key_norm is not None:
                    rotated = _normed_heads(
                        rotated, query_count, layer.query_norm, layer.key_norm, shape.norm_epsilon
                    )
                rotated = rotated * cosine + rotated.roll(shape.head_width // 2, -1) * sine
                keys[0, :, begin:end] = rotated[:, query_count:].transpose(0, 1)
                values[0, :, begin:end] = projected[:, rotated_count:].transpose(0, 1)
                attended = nn.scaled_dot_product_attention(
                    rotated[:, :query_count].transpose(0, 1)[None],
                    keys[:, :, :end],
                    values[:, :, :end],
                    attn_mask=mask,
                    enable_gqa=True,
                )
                hidden = hidden + layer.attention_out(attended[0].transpose(0, 1).flatten(1))
                normed = nn.rms_norm(hidden, width, layer.mlp_norm, shape.norm_epsilon)
                gate, up = layer.gate_up(normed).chunk(2, -1)
                hidden = hidden + layer.down(nn.silu(gate) * up)
            self._length = end
            # Only the wanted rows: the output matrix is the largest of all.
            wanted = nn.rms_norm(hidden[list(logits_at)], width, self._norm, shape.norm_epsilon)
            logits: NDArray[np.float32] = self._head(wanted).float().numpy()
            return logits

    def _reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` in the cache and the table of rotations."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        if tokens <= self._room:
            return
        shape = self._shape
        room = _FIRST_CACHE_TOKENS * 2 ** math.ceil(
            math.log2(max(1.0, tokens / _FIRST_CACHE_TOKENS))
        )
        size = (1, shape.key_value_heads, room, shape.head_width)
        keys = [torch.zeros(size, dtype=self._dtype) for _ in range(shape.layers)]
        values = [torch.zeros(size, dtype=self._dtype) for _ in range(shape.layers)]
        for index in range(shape.layers if self._length else 0):
            keys[index][:, :, : self._length] = self._keys[index][:, :, : self._length]
            values[index][:, :, : self._length] = self._values[index][:, :, : self._length]
        self._keys, self._values, self._room = keys, values, room
        frequencies = inverse_frequencies(shape.head_width, shape.rope_theta, shape.rope_stretch)
        angles = torch.outer(torch.arange(room).float(), torch.from_numpy(frequencies).float())
        self._cosine = torch.cat([angles.cos(), angles.cos()], -1).to(self._dtype)
        # The halves change places and the first one its sign: the sign stands in the table.
        self._sine = torch.cat([-angles.sin(), angles.sin()], -1).to(self._dtype)


def turned_back(keys: torch.Tensor, frequencies: NDArray[np.float64], tokens: int) -> torch.Tensor:
    """:func:`voicebot.models.rotary.turn_back` in torch; only the first values may be rotated.

    Args:
        keys: shape (..., width).
        frequencies: shape (rotated / 2,), where rotated is at most width.
        tokens: how far the keys move.
    """
    import torch  # noqa: PLC0415 - heavy, loaded already

    angles = tokens * torch.from_numpy(frequencies)
    cosines = angles.cos().to(keys.device, torch.float32)
    sines = angles.sin().to(keys.device, torch.float32)
    half = len(frequencies)
    wide = keys.float()
    first, second, rest = wide[..., :half], wide[..., half : 2 * half], wide[..., 2 * half :]
    turned = [first * cosines + second * sines, second * cosines - first * sines, rest]
    return torch.cat(turned, dim=-1).to(keys.dtype)


def int8_available() -> bool:
    """Whether this torch has the product with one-byte weights, which has no public name."""
    import torch  # noqa: PLC0415 - heavy, so loaded when needed

    try:
        product = _byte_weights(torch.ones(32, 64))(torch.ones(1, 64, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return False
    return bool((product.float() - 64).abs().max() < 1)


def _normed_heads(
    heads: torch.Tensor,
    query_count: int,
    query_norm: torch.Tensor,
    key_norm: torch.Tensor,
    epsilon: float,
) -> torch.Tensor:
    """Shape (tokens, heads, width): queries, then keys, each normalised by itself."""
    import torch  # noqa: PLC0415 - heavy, loaded already
    import torch.nn.functional as nn  # noqa: PLC0415

    width = (heads.shape[-1],)
    return torch.cat(
        [
            nn.rms_norm(heads[:, :query_count], width, query_norm, epsilon),
            nn.rms_norm(heads[:, query_count:], width, key_norm, epsilon),
        ],
        dim=1,
    )


def _plain(weight: torch.Tensor, bias: torch.Tensor | None) -> _Linear:
    import torch.nn.functional as nn  # noqa: PLC0415 - heavy, loaded already

    return lambda inputs: nn.linear(inputs, weight, bias)


def _byte_weights(weight: torch.Tensor, bias: torch.Tensor | None = None) -> _Linear:
    """Symmetric int8 per output channel for single tokens, bfloat16 for several.

    One token's product is bound by reading the weights, so half the bytes take half the time;
    several tokens' product is bound by arithmetic, where bfloat16 is the faster of the two.
    Inputs stay bfloat16: quantising them as well garbles a small model's replies.
    """
    import torch  # noqa: PLC0415 - heavy, loaded already
    import torch.nn.functional as nn  # noqa: PLC0415

    wide = weight.to(torch.bfloat16)
    scales = wide.abs().amax(1).float().clamp_min(1e-12) / 127
    narrow = (wide / scales[:, None]).round_().to(torch.int8)
    scales = scales.to(torch.bfloat16)

    def product(inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > 1:
            return nn.linear(inputs, wide, bias)
        single = torch._weight_int8pack_mm(inputs, narrow, scales)  # noqa: SLF001 - no public name
        return single if bias is None else single + bias

    return product
