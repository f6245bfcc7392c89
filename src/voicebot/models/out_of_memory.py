"""Telling that memory ran out: each library says so in its own way."""

from __future__ import annotations

from voicebot.errors import EngineError

__all__ = ["is_out_of_memory", "out_of_memory"]

_SIGNS = (
    "out of memory",  # torch on CUDA and MPS
    "can't allocate memory",  # torch on the processor
    "not enough memory",  # torch on Windows
    "bad allocation",
    "bad_alloc",
    "cannot allocate",  # CTranslate2
    "failed to allocate memory",  # onnxruntime
    "can't start new thread",  # Python: there is no room for another stack
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out, the processor's or the accelerator's."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS)


def out_of_memory() -> EngineError:
    """The one line for the user."""
    return EngineError(
        "there is not enough memory for the language model",
        "choose a smaller model, set llm.device = cpu if it was on an accelerator, or close other "
        "programs",
    )
