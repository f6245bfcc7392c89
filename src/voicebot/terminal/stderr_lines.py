"""Catches what is written to standard error, by whomever, while a live view owns the terminal.

Sound libraries write there from C; a line in the middle of the view would garble it.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StderrLines"]

_READ_BYTES = 4096
_STDERR = 2
_JOIN_TIMEOUT_S = 1.0


class StderrLines:
    """Hands the lines over instead; use as a context manager.

    Nothing is caught if standard error is no terminal: it does not disturb then.

    Args:
        on_line: called with each line, on a thread of its own.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._saved_fd: int | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if not os.isatty(_STDERR):
            return self
        _flush()
        read_fd, write_fd = os.pipe()
        self._saved_fd = os.dup(_STDERR)
        os.dup2(write_fd, _STDERR)
        os.close(write_fd)
        self._thread = threading.Thread(
            target=self._follow, args=(read_fd,), name="voicebot-stderr", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._saved_fd is None:
            return
        _flush()
        os.dup2(self._saved_fd, _STDERR)  # closes the pipe's last writer, unless a child has it
        os.close(self._saved_fd)
        self._saved_fd = None
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT_S)

    def _follow(self, read_fd: int) -> None:
        pending = b""
        with open(read_fd, "rb", buffering=0) as pipe:  # a descriptor, not a path
            while data := pipe.read(_READ_BYTES):
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._on_line(line.decode("utf-8", errors="replace"))
        if pending:
            self._on_line(pending.decode("utf-8", errors="replace"))


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
