"""Memory that was freed goes back to the system, so that weeks do not add up."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["return_free_memory"]


def return_free_memory() -> None:
    """Ask the allocator for it where it is glibc's, which else keeps most of it by itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
