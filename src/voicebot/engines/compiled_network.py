"""transformers' networks with a compiled step, for CUDA: one token at a time, in one launch.

An accelerator computes a small model's token faster than Python can ask for its hundreds of
kernels. With a cache of fixed size the step has fixed shapes, so torch compiles it into CUDA
graphs, as transformers' ``generate`` does with such a cache. Prompts are read uncompiled.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voicebot.engines.causal_network import TransformersNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = [
    "COMPILED_CONTEXT_TOKENS",
    "CompiledNetwork",
    "can_be_compiled",
    "compiled_for_cuda",
    "compiled_if_possible",
]

COMPILED_CONTEXT_TOKENS = 4096
"""Every token attends to the whole cache, used or not, so it is no larger than talk needs."""

_log = logging.getLogger("voicebot.engines")


def can_be_compiled(model: Any) -> bool:
    """Whether all layers of ``model`` keep every key: then a cache of fixed size serves."""
    from transformers import StaticCache  # noqa: PLC0415 - takes seconds

    layers = StaticCache(config=model.config, max_cache_len=1).layers
    return all(type(layer).__name__ == "StaticLayer" for layer in layers)


def compiled_if_possible(model: Any) -> TransformersNetwork:
    """The network of ``model``, on CUDA in evaluation mode: compiled if the model allows it."""
    return CompiledNetwork(model) if can_be_compiled(model) else TransformersNetwork(model)


def compiled_for_cuda(forward: Callable[..., Any]) -> Callable[..., Any]:
    """``forward`` as CUDA graphs."""
    import torch  # noqa: PLC0415 - heavy, loaded already

    return torch.compile(forward, mode="reduce-overhead", fullgraph=True)


class CompiledNetwork(TransformersNetwork):
    """See the module. The first two single tokens take long: they compile the step.

    Args:
        model: a causal language model in evaluation mode, for which ``can_be_compiled`` holds.
        room_tokens: the size of the cache; no more tokens may be read.
        compile_step: gives the compiled form of the model's forward pass.
    """

    def __init__(
        self,
        model: Any,
        *,
        room_tokens: int = COMPILED_CONTEXT_TOKENS,
        compile_step: Callable[[Callable[..., Any]], Callable[..., Any]] = compiled_for_cuda,
    ) -> None:
        self._room_tokens = room_tokens
        self._step: Callable[..., Any] | None = compile_step(model.forward)
        super().__init__(model)
        # Reads, compiles, runs compiled: so that no user waits for it.
        for count in (2, 1, 1):
            self.read([0] * count, [0])
        self.keep(0)

    def keep(self, count: int) -> int:
        """See the base class; the cache stays where it is."""
        if count < self._length:
            self._cache.crop(count - self._length)
            self._length = count
        return self._length

    def _forward(self, token_ids: torch.Tensor, **arguments: Any) -> Any:
        if self._step is None or token_ids.shape[1] > 1:
            return super()._forward(token_ids, **arguments)
        try:
            return self._step(token_ids, **arguments)
        except Exception as error:  # noqa: BLE001  # a compiler or a driver may lack anything
            _log.warning("the language model runs uncompiled, since compiling failed: %s", error)
            self._step = None
        # The failed step may have begun to write to the cache: what counts is set right.
        ahead = int(self._cache.get_seq_length()) - self._length
        if ahead > 0:
            self._cache.crop(-ahead)
        return super()._forward(token_ids, **arguments)

    def _replace(
        self, layer: Any, begin: int, keys: torch.Tensor, values: torch.Tensor, removed: int
    ) -> None:
        end = begin + keys.shape[-2]
        layer.keys[..., begin:end, :] = keys
        layer.values[..., begin:end, :] = values
        layer.cumulative_length.sub_(removed)

    def _new_cache(self) -> Any:
        from transformers import StaticCache  # noqa: PLC0415 - takes seconds

        self._is_plain = True
        return StaticCache(config=self._model.config, max_cache_len=self._room_tokens)
