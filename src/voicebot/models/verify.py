"""Checksums, and the stamp that makes asking for a model cheap at start-up.

A stamp is written into a model's folder once its files were checked. It holds each file's
checksum, size and time of change, so that later a look at the folder tells whether anything was
touched, without reading hundreds of megabytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.models.registry import ModelFile

__all__ = [
    "STAMP_NAME",
    "FileStamp",
    "Stamp",
    "check_file",
    "folder_sha256",
    "make_stamp",
    "read_stamp",
    "sha256_of",
    "stamp_matches",
    "write_stamp",
]

STAMP_NAME = "voicebot-stamp.json"
_SCHEMA = "voicebot.model/1"


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A checked file: its checksum, and its size and time of change when it was checked."""

    sha256: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """A checked model.

    Attributes:
        model: its name.
        source: the label of the source it came from.
        files: what was checked, by name in the model's folder.
    """

    model: str
    source: str
    files: dict[str, FileStamp]

    @property
    def sha256(self) -> str:
        """The model's one checksum: its file's, or that of the list of all of them."""
        return folder_sha256({name: file.sha256 for name, file in self.files.items()})


def sha256_of(path: Path) -> str:
    """The checksum of the file at ``path``, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(checksums: dict[str, str]) -> str:
    """One checksum for many files.

    A single file's own; otherwise that of the lines ``checksum  name`` sorted by name, the format
    of ``sha256sum``.
    """
    if len(checksums) == 1:
        return next(iter(checksums.values()))
    lines = "".join(f"{checksums[name]}  {name}\n" for name in sorted(checksums))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_file(path: Path, expected: ModelFile) -> str:
    """Hold a file to what the table says of it, as far as it does.

    Returns:
        Its checksum, in hexadecimal.

    Raises:
        ModelDamagedError: it is absent, or its size or checksum differs.
    """
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        raise ModelDamagedError(f"{expected.name} is not where it belongs") from None
    if expected.size_bytes is not None and size_bytes != expected.size_bytes:
        raise ModelDamagedError(
            f"{expected.name} has {size_bytes} bytes instead of {expected.size_bytes}"
        )
    found = sha256_of(path)
    if expected.sha256 is not None and found != expected.sha256:
        raise ModelDamagedError(
            f"{expected.name} has the checksum {found[:12]}… instead of {expected.sha256[:12]}…"
        )
    return found


def make_stamp(model: str, source: str, folder: Path) -> Stamp:
    """Read every file in ``folder`` and write down what is there."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != STAMP_NAME:
            status = path.stat()
            files[path.relative_to(folder).as_posix()] = FileStamp(
                sha256_of(path), status.st_size, status.st_mtime_ns
            )
    return Stamp(model, source, files)


def write_stamp(stamp: Stamp, folder: Path) -> None:
    """Write ``stamp`` into ``folder``, whole or not at all."""
    content = {
        "schema": _SCHEMA,
        "model": stamp.model,
        "source": stamp.source,
        "files": {
            name: {"sha256": file.sha256, "size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}
            for name, file in stamp.files.items()
        },
    }
    temporary = folder / f"{STAMP_NAME}.new"
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / STAMP_NAME)


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp in ``folder``; None if there is none that can be read."""
    try:
        content = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA:
            return None
        files = {
            str(name): FileStamp(
                str(file["sha256"]), int(file["size_bytes"]), int(file["mtime_ns"])
            )
            for name, file in content["files"].items()
        }
        return Stamp(str(content["model"]), str(content["source"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def stamp_matches(stamp: Stamp, folder: Path) -> bool:
    """Whether no stamped file was touched since: same sizes, same times of change."""
    for name, expected in stamp.files.items():
        try:
            status = (folder / name).stat()
        except OSError:
            return False
        if (status.st_size, status.st_mtime_ns) != (expected.size_bytes, expected.mtime_ns):
            return False
    return bool(stamp.files)
