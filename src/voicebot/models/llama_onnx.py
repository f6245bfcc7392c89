"""A checkpoint of Llama's family as one ONNX graph that onnxruntime runs with few bits a weight.

The graph stands beside the safetensors it was made from. Its operators are onnxruntime's own:
``MatMulNBits`` multiplies by blocks of four or eight bits without unpacking them, and
``GroupQueryAttention`` rotates, appends to the cache in place and attends.

Inputs: ``token_ids`` (tokens), ``rows`` (wanted), both int64; ``last_position`` and ``length``,
shape (1,), int32: the index of the last token and the number of all tokens, those in the cache
included; ``past_key_N`` and ``past_value_N``, shape (1, heads, room, width), float32.
Outputs: ``logits`` (wanted, vocabulary), float32; ``key_N`` and ``value_N``, which have to be
bound to the same memory as the past ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.errors import ModelDamagedError
from voicebot.models.block_weights import (
    BLOCK,
    BlockWeights,
    as_four_bits,
    as_signed_bytes,
    in_eight_bits,
)
from voicebot.models.llama_shape import LlamaShape
from voicebot.models.model_json import read_json
from voicebot.models.rotary import inverse_frequencies
from voicebot.models.safetensors_files import safetensors_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from numpy.typing import NDArray

    _Weights = Callable[[str], NDArray[np.float32]]

__all__ = ["write_llama_onnx"]

_OPSET, _IR_VERSION = 20, 10
_OWN = "com.microsoft"
_INT8_INPUTS = 4
"""MatMulNBits' accuracy level at which a block's inputs are held in one byte each, too."""

_LARGEST_BYTES = 3_200_000_000
"""Protobuf, and so a graph in one file, ends at 2 GiB; two bytes a weight in the safetensors are at
most one and a quarter in the graph."""

_HEAD_WIDTH_STEP = 16
"""GroupQueryAttention rotates heads of a multiple of this width."""

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


def write_llama_onnx(folder: Path, file: Path) -> bool:
    """Write the checkpoint in ``folder`` as a graph to ``file``.

    Weights that were stored in four bits are so again, without loss beyond the safetensors' own;
    all others take eight, since rounding to four garbles a small model.

    Args:
        folder: config.json and safetensors.
        file: where to write; its folder is there.

    Returns:
        False, and nothing is written, for a network that the graph does not cover.

    Raises:
        ModelMissingError: a file is not there.
        ModelDamagedError: the folder's files cannot be read, or lack weights.
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - loaded when needed
    from safetensors.torch import load_file  # noqa: PLC0415

    config = read_json(folder / "config.json")
    shape = LlamaShape.from_config(config)
    sources = safetensors_files(folder)
    if shape is None or sum(one.stat().st_size for one in sources) > _LARGEST_BYTES:
        return False
    widths = [config.get(name) for name in ("hidden_size", "intermediate_size")]
    in_blocks = all(isinstance(width, int) and width % BLOCK == 0 for width in widths)
    heads_in_blocks = shape.heads * shape.head_width % BLOCK == 0
    if not (in_blocks and heads_in_blocks) or shape.head_width % _HEAD_WIDTH_STEP:
        return False
    tensors: dict[str, Any] = {}
    try:
        for source in sources:
            tensors.update(load_file(source))
        tied = _HEAD not in tensors or bool(
            # Some checkpoints hold the shared matrix under both names.
            config.get("tie_word_embeddings") and tensors[_HEAD].equal(tensors[_EMBEDDING])
        )
        graph = _LlamaGraph(
            shape, lambda name: tensors[name].float().numpy(), names=tensors.keys(), tied=tied
        )
        content = graph.build()
    except (KeyError, SafetensorError) as error:
        raise ModelDamagedError(
            f"the language model in {folder} lacks weights: {error}", "fetch the model again"
        ) from error
    file.write_bytes(content)
    return True


class _LlamaGraph:
    """Collects nodes and constants; each method gives the name of what it computes."""

    def __init__(
        self, shape: LlamaShape, weights: _Weights, *, names: Collection[str], tied: bool
    ) -> None:
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - when converting only

        self._helper: Any = helper
        self._to_tensor: Any = numpy_helper.from_array
        self._float, self._int32, self._int64 = (
            TensorProto.FLOAT,
            TensorProto.INT32,
            TensorProto.INT64,
        )
        self._shape = shape
        self._weights = weights
        self._names = names
        self._tied = tied
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._block_sums: dict[str, str] = {}

    def build(self) -> bytes:
        """The graph as a file's content."""
        shape = self._shape
        value = self._helper.make_tensor_value_info
        inputs = [
            value("token_ids", self._int64, ["tokens"]),
            value("rows", self._int64, ["wanted"]),
            value("last_position", self._int32, [1]),
            value("length", self._int32, [1]),
        ]
        self._rotations()
        embedding = as_signed_bytes(self._weights(_EMBEDDING))
        vocabulary = len(embedding.scales)
        outputs = [value("logits", self._float, ["wanted", vocabulary])]
        hidden, added = self._embed(embedding), ""
        for index in range(shape.layers):
            hidden, added = self._layer(index, hidden, added)
            for kind in ("key", "value"):
                cache = [1, shape.key_value_heads, "room", shape.head_width]
                inputs.append(value(f"past_{kind}_{index}", self._float, cache))
                outputs.append(value(f"{kind}_{index}", self._float, cache))
        # Only the wanted rows: the output matrix is the largest of all.
        wanted = self._node("Gather", [hidden, "rows"], "hidden_wanted", axis=1)
        last = self._node("Gather", [added, "rows"], "added_wanted", axis=1)
        normed, _ = self._norm(wanted, last, "model.norm.weight", "final")
        head = embedding if self._tied else as_signed_bytes(self._weights(_HEAD))
        self._product(normed, head, "head", shares_embedding=self._tied)
        axes = self._constant("first_axis", np.array([0], np.int64))
        self._node("Squeeze", ["head", axes], "logits")
        graph = self._helper.make_graph(
            self._nodes, "llama", inputs, outputs, list(self._constants.values())
        )
        model = self._helper.make_model(
            graph,
            opset_imports=[
                self._helper.make_opsetid("", _OPSET),
                self._helper.make_opsetid(_OWN, 1),
            ],
            ir_version=_IR_VERSION,
            producer_name="voicebot",
        )
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _layer(self, index: int, hidden: str, added: str) -> tuple[str, str]:
        """The stream of hidden values, and what is still to be added to it."""
        at, name = f"model.layers.{index}.", f"layer_{index}_"
        normed, hidden = self._norm(
            hidden, added, at + "input_layernorm.weight", name + "attention"
        )
        projected = self._linear(
            normed, [f"{at}self_attn.{part}_proj.weight" for part in "qkv"], name + "qkv"
        )
        queries, keys, values = projected, "", ""
        if at + "self_attn.q_norm.weight" in self._names:
            queries, keys, values = self._normed_heads(at + "self_attn.", projected, name)
        attended = name + "attended"
        self._nodes.append(
            self._helper.make_node(
                "GroupQueryAttention",
                [
                    *(queries, keys, values, f"past_key_{index}", f"past_value_{index}"),
                    *("last_position", "length", "cosines", "sines"),
                ],
                [attended, f"key_{index}", f"value_{index}"],
                domain=_OWN,
                num_heads=self._shape.heads,
                kv_num_heads=self._shape.key_value_heads,
                do_rotary=1,
            )
        )
        added = self._linear(attended, [at + "self_attn.o_proj.weight"], name + "out")
        normed, hidden = self._norm(
            hidden, added, at + "post_attention_layernorm.weight", name + "mlp"
        )
        gate = self._linear(normed, [at + "mlp.gate_proj.weight"], name + "gate")
        up = self._linear(normed, [at + "mlp.up_proj.weight"], name + "up")
        # x * sigmoid(x), which is SiLU, in one step.
        opened = self._node("QuickGelu", [gate], name + "opened", domain=_OWN, alpha=1.0)
        passed = self._node("Mul", [opened, up], name + "passed")
        return hidden, self._linear(passed, [at + "mlp.down_proj.weight"], name + "down")

    def _normed_heads(self, at: str, projected: str, name: str) -> tuple[str, str, str]:
        """Queries and keys, each head normalised by itself, and values."""
        shape = self._shape
        counts = [shape.heads, shape.key_value_heads, shape.key_value_heads]
        widths = self._constant(
            "attention_widths", np.array([shape.head_width * one for one in counts], np.int64)
        )
        parts = [name + part for part in ("queries", "keys", "values")]
        self._nodes.append(self._helper.make_node("Split", [projected, widths], parts, axis=-1))
        in_heads = self._constant("heads_form", np.array([1, -1, shape.head_width], np.int64))
        for index, part in enumerate("qk"):
            scale = f"{at}{part}_norm.weight"
            heads = self._node("Reshape", [parts[index], in_heads], parts[index] + "_heads")
            normed = self._node(
                "SimplifiedLayerNormalization",
                [heads, self._constant(scale, self._weights(scale))],
                parts[index] + "_normed",
                epsilon=shape.norm_epsilon,
                axis=-1,
            )
            form = self._constant(
                f"form_of_{counts[index]}_heads",
                np.array([1, -1, shape.head_width * counts[index]], np.int64),
            )
            parts[index] = self._node("Reshape", [normed, form], parts[index] + "_ready")
        return parts[0], parts[1], parts[2]

    def _norm(self, hidden: str, added: str, weight: str, name: str) -> tuple[str, str]:
        """Normalised ``hidden + added``, and the sum itself."""
        scale = self._constant(weight, self._weights(weight))
        epsilon = self._shape.norm_epsilon
        if not added:
            normed = self._node(
                "SimplifiedLayerNormalization",
                [hidden, scale],
                name + "_normed",
                epsilon=epsilon,
                axis=-1,
            )
            return normed, hidden
        self._nodes.append(
            self._helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [hidden, added, scale],
                [name + "_normed", "", "", name + "_sum"],
                domain=_OWN,
                epsilon=epsilon,
            )
        )
        return name + "_normed", name + "_sum"

    def _linear(self, inputs: str, names: list[str], name: str) -> str:
        weight = np.concatenate([self._weights(one) for one in names])
        biases = [one.removesuffix("weight") + "bias" for one in names]
        has_bias = biases[0] in self._names
        product = name + "_unbiased" if has_bias else name
        self._product(inputs, as_four_bits(weight) or in_eight_bits(weight), product)
        if not has_bias:
            return product
        bias = np.concatenate([self._weights(one) for one in biases])
        return self._node("Add", [product, self._constant(name + "_bias", bias)], name)

    def _product(
        self, inputs: str, blocks: BlockWeights, name: str, *, shares_embedding: bool = False
    ) -> str:
        """``inputs`` (1, tokens, k) times the matrix: (1, tokens, n)."""
        outputs_count, per_row = blocks.scales.shape
        levels = (
            "embedding_levels"
            if shares_embedding
            else self._constant(name + "_levels", blocks.packed_levels())
        )
        corrected = blocks.remainders is not None
        product = name + "_rounded" if corrected else name
        self._node(
            "MatMulNBits",
            [
                inputs,
                levels,
                self._constant(name + "_scales", blocks.scales.reshape(-1)),
                self._constant(name + "_zeros", blocks.packed_zeros().reshape(-1)),
            ],
            product,
            domain=_OWN,
            K=per_row * BLOCK,
            N=outputs_count,
            bits=blocks.bits,
            block_size=BLOCK,
            accuracy_level=_INT8_INPUTS,
        )
        if blocks.remainders is None:
            return product
        remainders = self._constant(name + "_remainders", blocks.remainders.T)
        correction = self._node(
            "MatMul", [self._sums_of_blocks(inputs, per_row), remainders], name + "_correction"
        )
        return self._node("Add", [product, correction], name)

    def _sums_of_blocks(self, inputs: str, per_row: int) -> str:
        """Shape (1, tokens, blocks); made once for all products of the same inputs."""
        if inputs not in self._block_sums:
            form = self._constant(
                f"form_of_{per_row}_blocks", np.array([1, -1, per_row, BLOCK], np.int64)
            )
            axis = self._constant("last_axis", np.array([3], np.int64))
            blocks = self._node("Reshape", [inputs, form], inputs + "_blocks")
            self._block_sums[inputs] = self._node(
                "ReduceSum", [blocks, axis], inputs + "_block_sums", keepdims=0
            )
        return self._block_sums[inputs]

    def _embed(self, embedding: BlockWeights) -> str:
        """The rows of ``token_ids``, shape (1, tokens, width)."""
        levels = self._constant("embedding_levels", embedding.levels)
        scales = self._constant("embedding_scales", embedding.scales[..., None])
        zero = self._constant("embedding_zero", np.float32(embedding.zeros[0, 0]))
        form = self._constant(
            "embedding_form", np.array([1, -1, embedding.scales.shape[1] * BLOCK], np.int64)
        )
        taken = self._node("Gather", [levels, "token_ids"], "token_levels")
        wide = self._node("Cast", [taken], "token_numbers", to=self._float)
        centred = self._node("Sub", [wide, zero], "token_centred")
        scale = self._node("Gather", [scales, "token_ids"], "token_scales")
        scaled = self._node("Mul", [centred, scale], "token_scaled")
        return self._node("Reshape", [scaled, form], "embedded")

    def _rotations(self) -> None:
        shape = self._shape
        frequencies = inverse_frequencies(shape.head_width, shape.rope_theta, shape.rope_stretch)
        angles = np.outer(np.arange(shape.context_tokens), frequencies)
        self._constant("cosines", np.cos(angles).astype(np.float32))
        self._constant("sines", np.sin(angles).astype(np.float32))

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, content: Any) -> str:
        if name not in self._constants:
            array = np.asarray(content)
            flat = array if array.ndim == 0 else np.ascontiguousarray(array)
            self._constants[name] = self._to_tensor(flat, name)
        return name
