"""A causal language model's network with its key-value cache, any architecture."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from voicebot.errors import ModelDamagedError, ModelError
from voicebot.models.out_of_memory import is_out_of_memory, out_of_memory
from voicebot.models.quiet_transformers import quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

__all__ = ["CausalNetwork", "TransformersNetwork"]


class CausalNetwork(Protocol):
    """Reads tokens one after the other and predicts what follows."""

    @property
    def reads_in_pieces(self) -> bool:
        """Whether a prompt is read as quickly in pieces as at once."""
        ...

    def keep(self, count: int) -> int:
        """Forget all but the first ``count`` tokens read; gives how many are really kept."""
        ...

    def forget(self, begin: int, end: int) -> bool:
        """Forget the tokens from ``begin`` to before ``end``; what stood behind moves up.

        Keys are turned back to their new places, which is exact for the first layer. Deeper ones
        were computed while what is forgotten could be seen, so what follows is close to what a
        fresh reading would give, not the same.

        Args:
            begin: the first token to forget.
            end: the first token behind them, at most the number of tokens read.

        Returns:
            Whether it was done; False, and nothing is changed, if this network cannot.
        """
        ...

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """Read ``token_ids`` behind what was read before.

        Args:
            token_ids: at least one token id.
            logits_at: indices in ``token_ids``.

        Returns:
            What follows each of them: logits, shape (len(logits_at), vocabulary), float32.
        """
        ...


_PLAIN_LAYERS = ("DynamicLayer", "DynamicSlidingWindowLayer")
"""transformers' caches of keys and values alone, without a recurrent state."""

_TURNABLE = ("llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gpt_neox")
"""Architectures whose every layer rotates its keys by the same angles, in two halves."""

_TURNABLE_ROPES = ("default", "linear", "llama3", "yarn")
"""Kinds of angles that are proportional to the position, whatever the length of the prompt."""


class TransformersNetwork:
    """A network as transformers implements it: every architecture that it knows.

    Args:
        model: a causal language model in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        # transformers 5.24 renamed the argument, and warns of the old name at every call.
        arguments = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in arguments else "past_key_values"
        # Some models with recurrent layers first count places wrong if they are not told.
        self._takes_positions = "position_ids" in arguments
        self._cache = self._new_cache()
        self._length = 0

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        dtype: torch.dtype,
        device: str = "cpu",
        make: Callable[[Any], TransformersNetwork] | None = None,
    ) -> TransformersNetwork:
        """Load the safetensors and config.json in folder ``path``.

        Args:
            path: the folder.
            dtype: of the weights.
            device: a torch device.
            make: makes the network of the model, which is on its device in evaluation mode; None
                is this class.

        Raises:
            ModelDamagedError: they cannot be read, or do not hold all weights.
            ModelError: a package that reads them is missing.
            EngineError: there is not enough memory.
        """
        import transformers  # noqa: PLC0415 - takes seconds

        # Its annotations leave out that a report comes along when asked for.
        auto_model: Any = transformers.AutoModelForCausalLM
        with quiet_transformers():
            try:
                model, report = auto_model.from_pretrained(
                    path,
                    dtype=dtype,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                )
            # Beside its own errors, whatever a damaged file makes of a library call.
            except Exception as error:
                if is_out_of_memory(error):
                    raise out_of_memory() from error
                what = f"cannot load the language model in {path}: {_first_line(error)}"
                if isinstance(error, ImportError):  # a quantisation that a package of its own reads
                    raise ModelError(what, "choose plain safetensors, or GGUF") from error
                raise ModelDamagedError(
                    what, "fetch the model again, or choose one that transformers knows"
                ) from error
        if report["missing_keys"]:
            # transformers would fill them with random numbers and go on.
            raise ModelDamagedError(
                f"the language model in {path} lacks weights: {min(report['missing_keys'])}",
                "fetch the model again",
            )
        try:
            model = model.eval().to(device)
            return (make or cls)(model)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise

    @property
    def reads_in_pieces(self) -> bool:
        """See :class:`CausalNetwork`."""
        return self._is_plain

    def keep(self, count: int) -> int:
        """See :class:`CausalNetwork`; models with a recurrent state keep all or nothing."""
        if count >= self._length:
            return self._length
        if count and self._is_plain:
            self._cache.crop(count - self._length)
            self._length = count
        else:
            self._cache = self._new_cache()
            self._length = 0
        return self._length

    def forget(self, begin: int, end: int) -> bool:
        """See :class:`CausalNetwork`; for architectures whose keys are known to be turnable."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        from voicebot.engines.llama_network import turned_back  # noqa: PLC0415 - likewise

        config = self._model.config
        rope = getattr(config, "rope_parameters", None) or {}
        is_turnable = config.model_type in _TURNABLE and rope.get("rope_type") in _TURNABLE_ROPES
        if not (self._is_plain and is_turnable):
            return False
        frequencies = self._model.base_model.rotary_emb.inv_freq.double().cpu().numpy()
        with torch.inference_mode():
            for layer in self._cache.layers:
                keys = turned_back(layer.keys[..., end : self._length, :], frequencies, end - begin)
                values = layer.values[..., end : self._length, :].clone()
                self._replace(layer, begin, keys, values, end - begin)
        self._length -= end - begin
        return True

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """See :class:`CausalNetwork`."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        if self._length and len(token_ids) > 1 and not self._is_plain:
            # transformers' recurrent layers take a state over for one token at a time only.
            rows_of_each = [self.read([token_id], [0]) for token_id in token_ids]
            chosen: NDArray[np.float32] = np.concatenate([rows_of_each[at] for at in logits_at])
            return chosen
        with torch.inference_mode():
            device = self._model.device
            end = self._length + len(token_ids)
            places = torch.arange(self._length, end, device=device)[None]
            positions = {"position_ids": places} if self._takes_positions else {}
            logits = self._forward(
                torch.tensor([list(token_ids)], device=device),
                use_cache=True,
                # A tensor of indices: the output matrix is the dearest one, so no row too many.
                logits_to_keep=torch.tensor(list(logits_at), dtype=torch.long, device=device),
                **{self._cache_argument: self._cache},
                **positions,
            ).logits[0]
            self._length += len(token_ids)
            rows: NDArray[np.float32] = logits.float().cpu().numpy()
            return rows

    def _forward(self, token_ids: torch.Tensor, **arguments: Any) -> Any:
        return self._model(token_ids, **arguments)

    def _replace(
        self,
        layer: Any,
        begin: int,
        keys: torch.Tensor,
        values: torch.Tensor,
        removed: int,  # noqa: ARG002 - caches of fixed size count for themselves
    ) -> None:
        """Let ``keys`` and ``values`` follow the first ``begin`` of a layer, and nothing else."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        layer.keys = torch.cat([layer.keys[..., :begin, :], keys], dim=-2)
        layer.values = torch.cat([layer.values[..., :begin, :], values], dim=-2)

    def _new_cache(self) -> Any:
        from transformers import DynamicCache  # noqa: PLC0415 - takes seconds

        of_model = DynamicCache(config=self._model.config)
        self._is_plain = all(type(layer).__name__ in _PLAIN_LAYERS for layer in of_model.layers)
        # Layers with a sliding window are given all keys, and mask them: so the cache can go back
        # to any earlier token, for the price of memory.
        return DynamicCache() if self._is_plain else of_model


def _first_line(error: Exception) -> str:
    """The first line of what transformers explains at length."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
