"""A causal language model's network with its key-value cache, any architecture."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from voicebot.errors import ModelDamagedError
from voicebot.models.quiet_transformers import quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["CausalNetwork", "TransformersNetwork"]


class CausalNetwork(Protocol):
    """Reads tokens one after the other and predicts what follows."""

    def keep(self, count: int) -> int:
        """Forget all but the first ``count`` tokens read; gives how many are really kept."""
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


class TransformersNetwork:
    """A network as transformers implements it: every architecture that it knows.

    Args:
        model: a causal language model in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        # transformers 5.24 renamed the argument, and warns of the old name at every call.
        renamed = "cache" in inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if renamed else "past_key_values"
        self._cache = self._new_cache()

    @classmethod
    def load(cls, path: Path, *, dtype: torch.dtype, device: str = "cpu") -> TransformersNetwork:
        """Load the safetensors and config.json in folder ``path``.

        Raises:
            ModelDamagedError: they cannot be read, or do not hold all weights.
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
                raise ModelDamagedError(
                    f"cannot load the language model in {path}: {error}", "fetch the model again"
                ) from error
        if report["missing_keys"]:
            # transformers would fill them with random numbers and go on.
            raise ModelDamagedError(
                f"the language model in {path} lacks weights: {min(report['missing_keys'])}",
                "fetch the model again",
            )
        return cls(model.eval().to(device))

    def keep(self, count: int) -> int:
        """See :class:`CausalNetwork`; models with sliding or recurrent layers keep all or none."""
        length = int(self._cache.get_seq_length())
        if count >= length:
            return length
        # Only a plain attention cache can go back to any earlier token.
        if count and not any(self._cache.is_sliding) and getattr(self._cache, "is_croppable", True):
            self._cache.crop(count - length)
            return count
        self._cache = self._new_cache()
        return 0

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """See :class:`CausalNetwork`."""
        import torch  # noqa: PLC0415 - heavy, loaded already

        with torch.inference_mode():
            device = self._model.device
            logits = self._model(
                torch.tensor([list(token_ids)], device=device),
                use_cache=True,
                # A tensor of indices: the output matrix is the dearest one, so no row too many.
                logits_to_keep=torch.tensor(list(logits_at), dtype=torch.long, device=device),
                **{self._cache_argument: self._cache},
            ).logits[0]
            rows: NDArray[np.float32] = logits.float().cpu().numpy()
            return rows

    def _new_cache(self) -> Any:
        from transformers import DynamicCache  # noqa: PLC0415 - takes seconds

        return DynamicCache(config=self._model.config)
