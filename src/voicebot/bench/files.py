"""Writing a result file whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_writable", "write_text_atomically"]

_PROBE_BYTES = 256 * 1024  # about what a short run takes


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``, making its folder if need be.

    The text goes to a file beside it first, which then takes its name: a full disk or a stop in
    between leaves what stood there before.

    Raises:
        OutputError: the folder or file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe, as /dev/stdout is: a file must not take its place.
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            "give another folder with --out, or free some space there",
        ) from error


def check_writable(folder: Path) -> None:
    """Find out before a measurement, not after it; makes the folder.

    Raises:
        OutputError: nothing can be written there.
    """
    probe = folder / ".writable"
    try:
        write_text_atomically(probe, " " * _PROBE_BYTES)
    except OutputError as error:
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else error.problem
        raise OutputError(f"nothing can be written in {folder}: {why}", error.way_out) from error
    probe.unlink(missing_ok=True)
