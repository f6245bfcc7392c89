"""Writing a result file whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_text_atomically"]


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
