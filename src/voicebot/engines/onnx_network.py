"""A language model's network in onnxruntime, from the graph that ``models.llama_onnx`` writes.

Reading one token is bound by reading the weights, so the graph holds them in four or eight bits
and multiplies them as they are. Keys and values stand in two arrays a layer that the graph reads
and writes in place; to go back to an earlier token is to call fewer of their rows valid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.errors import ModelDamagedError, ModelMissingError
from voicebot.models.llama_shape import GRAPH_NAME, LlamaShape
from voicebot.models.model_json import read_json
from voicebot.models.out_of_memory import is_out_of_memory, out_of_memory
from voicebot.models.rotary import inverse_frequencies, turn_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["OnnxNetwork"]

_FIRST_CACHE_TOKENS = 512
_PAST = "past_"


class OnnxNetwork:
    """A network with its key-value cache, on the processor.

    Args:
        session: an ``onnxruntime.InferenceSession`` on the graph.
        shape: the network's shape; None if it is not known, and then nothing in the middle of
            what was read can be forgotten.
    """

    def __init__(self, session: Any, shape: LlamaShape | None = None) -> None:
        self._session = session
        self._shape = shape
        self._binding = session.io_binding()
        self._vocabulary = int(session.get_outputs()[0].shape[1])
        pasts = [one for one in session.get_inputs() if one.name.startswith(_PAST)]
        _, self._heads, _, self._width = pasts[0].shape
        self._length = 0
        self._room = 0
        self._caches: dict[str, NDArray[np.float32]] = {
            one.name: np.empty((1, self._heads, 0, self._width), np.float32) for one in pasts
        }
        self._reserve(_FIRST_CACHE_TOKENS)

    @staticmethod
    def is_in(path: Path) -> bool:
        """Whether the model folder ``path`` has a graph for this engine."""
        return (path / GRAPH_NAME).is_file()

    @classmethod
    def load(cls, path: Path, *, threads: int) -> OnnxNetwork:
        """Load the graph in folder ``path``.

        Raises:
            ModelMissingError: there is none.
            ModelDamagedError: onnxruntime cannot read it.
        """
        import onnxruntime  # noqa: PLC0415 - heavy, so loaded when needed

        if not cls.is_in(path):
            raise ModelMissingError(
                f"there is no {GRAPH_NAME} in {path}",
                "run `voicebot models pull`, or set llm.engine = auto",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads that spin would take a core from the stages that run beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # Its warnings are about how graphs are written.
        try:
            session = onnxruntime.InferenceSession(
                str(path / GRAPH_NAME), options, providers=["CPUExecutionProvider"]
            )
            shape = LlamaShape.from_config(read_json(path / "config.json"))
            return cls(session, shape)
        # onnxruntime's own errors have no common class.
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise ModelDamagedError(
                f"cannot load {path / GRAPH_NAME}: {error}", "fetch the model again"
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
        shape = self._shape
        if shape is None:
            return False
        frequencies = inverse_frequencies(shape.head_width, shape.rope_theta, shape.rope_stretch)
        new_length = self._length - (end - begin)
        for name, cache in self._caches.items():
            moved = cache[:, :, end : self._length]
            is_key = name.startswith(_PAST + "key")
            # A copy either way: source and target overlap.
            moved = turn_back(moved, frequencies, end - begin) if is_key else moved.copy()
            cache[:, :, begin:new_length] = moved
        self._length = new_length
        return True

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """See :class:`voicebot.engines.causal_network.CausalNetwork`.

        Raises:
            RuntimeError: onnxruntime failed.
        """
        length = self._length + len(token_ids)
        logits = np.empty((len(logits_at), self._vocabulary), np.float32)
        rows = np.asarray(logits_at, np.int64) % len(token_ids)
        try:
            self._reserve(length)
            bind = self._binding
            bind.bind_cpu_input("token_ids", np.asarray(token_ids, np.int64))
            bind.bind_cpu_input("rows", rows)
            bind.bind_cpu_input("last_position", np.array([length - 1], np.int32))
            bind.bind_cpu_input("length", np.array([length], np.int32))
            bind.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
            self._session.run_with_iobinding(bind)
        # Its own errors are no RuntimeErrors, which is what this method's users expect.
        except Exception as error:
            raise RuntimeError(str(error)) from error
        self._length = length
        return logits

    def _reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` in the cache."""
        if tokens <= self._room:
            return
        room = max(self._room, _FIRST_CACHE_TOKENS)
        while room < tokens:
            room *= 2
        for name, narrow in self._caches.items():
            wide = np.zeros((1, self._heads, room, self._width), np.float32)
            wide[:, :, : self._length] = narrow[:, :, : self._length]
            self._caches[name] = wide
            place = ("cpu", 0, np.float32, wide.shape, wide.ctypes.data)
            self._binding.bind_input(name, *place)
            self._binding.bind_output(name.removeprefix(_PAST), *place)
        self._room = room
