"""Models that come inside an installed dependency: nothing to fetch, only to find and check."""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError
from voicebot.models.verify import check_file, folder_sha256, sha256_of

if TYPE_CHECKING:
    from voicebot.models.registry import BundledSource, Model

__all__ = ["find_bundled", "verify_bundled"]


def find_bundled(source: BundledSource) -> Path | None:
    """The model's folder inside its package, which is not imported; None if it is not there."""
    try:
        specification = importlib.util.find_spec(source.module)
    except (ImportError, ValueError):
        return None
    if specification is None or not specification.submodule_search_locations:
        return None
    folder = Path(next(iter(specification.submodule_search_locations))) / source.folder
    return folder if folder.is_dir() else None


def verify_bundled(model: Model, source: BundledSource, folder: Path) -> str:
    """Hold a bundled model to the table, or else to its package's own record of files.

    Returns:
        The model's one checksum, in hexadecimal.

    Raises:
        ModelDamagedError: a file is absent or differs, or the package keeps no record.
    """
    if model.files:
        return folder_sha256(
            {file.name: check_file(folder / file.source_name, file) for file in model.files}
        )
    checksums = {}
    try:
        recorded = importlib.metadata.files(source.package) or []
    except importlib.metadata.PackageNotFoundError:
        recorded = []
    inside = f"{source.module}/{source.folder}/"
    for entry in recorded:
        name = entry.as_posix()
        if not name.startswith(inside) or entry.hash is None or "__pycache__" in name:
            continue
        path = Path(str(entry.locate()))
        try:
            found = sha256_of(path)
        except OSError as error:
            raise ModelDamagedError(
                f"{name} of {source.package} cannot be read: {error.strerror}",
                f"reinstall {source.package}=={source.version}",
            ) from error
        digest = base64.urlsafe_b64encode(bytes.fromhex(found)).decode().rstrip("=")
        if entry.hash.mode == "sha256" and digest != entry.hash.value:
            raise ModelDamagedError(
                f"{name} was changed after {source.package} was installed",
                f"reinstall {source.package}=={source.version}",
            )
        checksums[name.removeprefix(inside)] = found
    if not checksums:
        raise ModelDamagedError(
            f"{source.package} keeps no record of its files to hold them to",
            f"reinstall {source.package}=={source.version}",
        )
    return folder_sha256(checksums)
