"""A BERT sentence encoder as one ONNX graph: token ids in, one vector a sentence out.

The graph is built in memory from the safetensors whenever the encoder is loaded, which takes a
fraction of a second, so no second copy of the weights lies on the disk. ``Attention``,
``SkipLayerNormalization`` and ``BiasGelu`` are onnxruntime's own operators; pooling and
normalisation belong to the graph.

Inputs: ``token_ids`` (sentences, tokens), int64; ``mask`` (sentences, tokens), int32, 1 where there
is a token. Output: ``vectors`` (sentences, width), float32, each of length 1: the mean over a
sentence's tokens, divided by its length (the model card of all-MiniLM-L6-v2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from voicebot.errors import ModelDamagedError
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["BertShape", "bert_onnx"]

_OPSET, _IR_VERSION = 17, 10
_OWN = "com.microsoft"
_SMALLEST_NORM = 1e-12


@dataclass(frozen=True, slots=True)
class BertShape:
    """What the graph needs to know of the network.

    Attributes:
        layers: transformer layers.
        heads: attention heads a layer.
        epsilon: of the layer normalisations.
        positions: the most tokens that it can read.
    """

    layers: int
    heads: int
    epsilon: float
    positions: int

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read config.json and 1_Pooling/config.json.

        Raises:
            ModelMissingError: a file is not there.
            ModelDamagedError: it is no BERT encoder with mean pooling.
        """
        config = read_json(folder / "config.json")
        pooling = read_json(folder / "1_Pooling" / "config.json")
        expected = {
            "model_type": "bert",
            "hidden_act": "gelu",
            "position_embedding_type": "absolute",
        }
        differing = [name for name, value in expected.items() if config.get(name, value) != value]
        if differing or pooling.get("pooling_mode_mean_tokens") is not True:
            what = differing[0] if differing else "pooling"
            raise ModelDamagedError(
                f"the encoder in {folder} has another {what} than this program can run",
                "fetch all-minilm-l6-v2",
            )
        try:
            return cls(
                layers=int(config["num_hidden_layers"]),
                heads=int(config["num_attention_heads"]),
                epsilon=float(config["layer_norm_eps"]),
                positions=int(config["max_position_embeddings"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{folder / 'config.json'} lacks {error}", "fetch the model again"
            ) from error


def bert_onnx(folder: Path) -> bytes:
    """The graph of the encoder in ``folder`` (config.json, safetensors, 1_Pooling).

    Raises:
        ModelMissingError: a file is not there.
        ModelDamagedError: a file cannot be read, or weights are missing.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - loaded when needed
    from safetensors.numpy import load_file  # noqa: PLC0415

    shape = BertShape.from_folder(folder)
    try:
        return _BertGraph(shape, load_file(folder / "model.safetensors")).build()
    except (KeyError, OSError, SafetensorError) as error:
        raise ModelDamagedError(
            f"the encoder in {folder} cannot be read: {error}", "fetch the model again"
        ) from error


class _BertGraph:
    """Collects nodes and constants; each method gives the name of what it computes."""

    def __init__(self, shape: BertShape, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - heavy

        self._helper: Any = helper
        self._to_tensor: Any = numpy_helper.from_array
        self._types: Any = TensorProto
        self._shape = shape
        self._tensors = tensors
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def build(self) -> bytes:
        """The graph as a file's content."""
        value, types = self._helper.make_tensor_value_info, self._types
        hidden = self._embed()
        for index in range(self._shape.layers):
            hidden = self._layer(f"encoder.layer.{index}", hidden)
        self._pool(hidden)
        graph = self._helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [
                value("token_ids", types.INT64, ["sentences", "tokens"]),
                value("mask", types.INT32, ["sentences", "tokens"]),
            ],
            [value("vectors", types.FLOAT, ["sentences", "width"])],
            self._constants,
        )
        opsets = [self._helper.make_opsetid("", _OPSET), self._helper.make_opsetid(_OWN, 1)]
        model = self._helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        content: bytes = model.SerializeToString()
        return content

    def _embed(self) -> str:
        # There is one kind of token, so its embedding is added to the positions' beforehand.
        places = self._weight("embeddings.position_embeddings.weight")
        places = places + self._weight("embeddings.token_type_embeddings.weight")[0]
        words = self._constant("words", self._weight("embeddings.word_embeddings.weight"))
        embedded = self._node("Gather", [words, "token_ids"], "words_read")
        shape = self._node("Shape", ["token_ids"], "tokens_shape", start=1, end=2)
        zero = self._constant("zero", np.zeros(1, np.int64))
        read = self._node(
            "Slice", [self._constant("places", places), zero, shape, zero], "places_read"
        )
        added = self._node("Add", [embedded, read], "embedded")
        return self._node(
            "LayerNormalization",
            [added, *self._norm("embeddings.LayerNorm")],
            "embedded_normed",
            epsilon=self._shape.epsilon,
        )

    def _layer(self, name: str, hidden: str) -> str:
        kinds = [f"{name}.attention.self.{kind}" for kind in ("query", "key", "value")]
        weight = np.concatenate([self._weight(f"{kind}.weight").T for kind in kinds], axis=1)
        bias = np.concatenate([self._weight(f"{kind}.bias") for kind in kinds])
        attended = self._node(
            "Attention",
            [
                hidden,
                self._constant(f"{name}.attention.weight", weight),
                self._constant(f"{name}.attention.bias", bias),
                "mask",
            ],
            f"{name}.attended",
            domain=_OWN,
            num_heads=self._shape.heads,
        )
        hidden = self._add_and_norm(f"{name}.attention.output", attended, hidden)
        inner = self._product(f"{name}.intermediate.dense", hidden)
        bias_name = self._named(f"{name}.intermediate.dense.bias")
        active = self._node("BiasGelu", [inner, bias_name], f"{name}.active", domain=_OWN)
        return self._add_and_norm(f"{name}.output", active, hidden)

    def _add_and_norm(self, name: str, value: str, skip: str) -> str:
        product = self._product(f"{name}.dense", value)
        return self._node(
            "SkipLayerNormalization",
            [product, skip, *self._norm(f"{name}.LayerNorm"), self._named(f"{name}.dense.bias")],
            f"{name}.normed",
            domain=_OWN,
            epsilon=self._shape.epsilon,
        )

    def _product(self, name: str, value: str) -> str:
        weight = self._constant(f"{name}.weight", self._weight(f"{name}.weight").T)
        return self._node("MatMul", [value, weight], f"{name}.product")

    def _pool(self, hidden: str) -> None:
        last = self._constant("last_axis", np.array([2], np.int64))
        tokens = self._constant("token_axis", np.array([1], np.int64))
        mask = self._node("Cast", ["mask"], "mask_float", to=self._types.FLOAT)
        column = self._node("Unsqueeze", [mask, last], "mask_column")
        masked = self._node("Mul", [hidden, column], "masked")
        # The sum points where the mean does, and only the direction is kept.
        total = self._node("ReduceSum", [masked, tokens], "total", keepdims=0)
        length = self._node("ReduceL2", [total], "length", axes=[1], keepdims=1)
        smallest = self._constant("smallest", np.array([_SMALLEST_NORM], np.float32))
        safe = self._node("Max", [length, smallest], "safe_length")
        self._node("Div", [total, safe], "vectors")

    def _norm(self, name: str) -> list[str]:
        return [self._named(f"{name}.weight"), self._named(f"{name}.bias")]

    def _weight(self, name: str) -> NDArray[np.float32]:
        return self._tensors[name].astype(np.float32)

    def _named(self, name: str) -> str:
        return self._constant(name, self._weight(name))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants.append(self._to_tensor(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output
