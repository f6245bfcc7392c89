"""Which device torch computes on, and in which precision there."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["DeviceChoice", "half_precision", "torch_device"]

DeviceChoice: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
"""``auto`` takes CUDA, then MPS, else the processor."""

_SIGNS_OF_CUDA = (
    Path("/dev/nvidiactl"),
    Path("/dev/dxg"),  # Linux in Windows
    Path("/dev/kfd"),  # AMD, whose torch answers to the name of CUDA
    Path("C:/Windows/System32/nvcuda.dll"),
)


def torch_device(choice: DeviceChoice) -> str:
    """The device to use. torch is imported only if this machine may have another than ``cpu``.

    Raises:
        ConfigError: the device that is asked for is not here.
    """
    if choice == "cpu" or (choice == "auto" and not _may_have_accelerator()):
        return "cpu"
    import torch  # noqa: PLC0415 - heavy, so loaded when needed

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if choice == "auto":
        return next((name for name, is_here in found.items() if is_here), "cpu")
    if not found[choice]:
        raise ConfigError(
            f"llm.device = {choice}, but torch finds no such device here",
            "set llm.device = auto, or install a torch that is built for it",
        )
    return choice


def half_precision(device: str) -> torch.dtype:
    """Two bytes a number: bfloat16 where the device computes with it, else float16."""
    import torch  # noqa: PLC0415 - heavy, loaded already

    has_bfloat16 = device == "cpu" or (
        torch.cuda.is_bf16_supported()
        if device == "cuda"
        else torch.backends.mps.is_macos_or_newer(14, 0)
    )
    return torch.bfloat16 if has_bfloat16 else torch.float16


def _may_have_accelerator() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(sign.exists() for sign in _SIGNS_OF_CUDA)
