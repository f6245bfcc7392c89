"""What the first download from a hub gave, so that every later one is held to it.

The lock file lies beside the models. For each model it keeps the repository, the commit and each
file's checksum. A repository that changes its files is then noticed, not followed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock

from voicebot.errors import ModelDamagedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LockedModel", "read_all_locked", "read_locked", "write_locked"]

_SCHEMA = "voicebot.models.lock/1"
_LOCK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A model as it was first downloaded.

    Attributes:
        repository: ``owner/name``.
        revision: the commit.
        files: each file's checksum in hexadecimal, by its path in the repository.
        licence: as the repository's card named it; empty if it did not.
    """

    repository: str
    revision: str
    files: dict[str, str]
    licence: str = ""


def read_locked(lock_path: Path, model: str) -> LockedModel | None:
    """What is recorded of ``model``; None before its first download.

    Raises:
        ModelDamagedError: the lock file cannot be read.
    """
    entry = _read(lock_path).get(model)
    return None if entry is None else _parse(lock_path, entry)


def read_all_locked(lock_path: Path) -> dict[str, LockedModel]:
    """Everything that is recorded, by the model's name.

    Raises:
        ModelDamagedError: the lock file cannot be read.
    """
    return {name: _parse(lock_path, entry) for name, entry in _read(lock_path).items()}


def write_locked(lock_path: Path, model: str, locked: LockedModel) -> None:
    """Record ``model``; other processes that record other models at the same time lose nothing.

    Raises:
        ModelDamagedError: the lock file that is there cannot be read.
    """
    with FileLock(f"{lock_path}.guard", timeout=_LOCK_TIMEOUT_S):
        models = _read(lock_path)
        models[model] = {
            "repository": locked.repository,
            "revision": locked.revision,
            "licence": locked.licence,
            "files": dict(sorted(locked.files.items())),
        }
        content = {"schema": _SCHEMA, "models": dict(sorted(models.items()))}
        temporary = lock_path.with_name(f"{lock_path.name}.new")
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(lock_path)


def _read(lock_path: Path) -> dict[str, object]:
    try:
        content = json.loads(lock_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(lock_path) from error
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise _unreadable(lock_path)
    models = content.get("models")
    if not isinstance(models, dict):
        raise _unreadable(lock_path)
    return models


def _parse(lock_path: Path, entry: object) -> LockedModel:
    match entry:
        case {
            "repository": str(repository),
            "revision": str(revision),
            "files": dict(files),
            **more,
        }:
            return LockedModel(
                repository,
                revision,
                {str(name): str(sha256) for name, sha256 in files.items()},
                str(more.get("licence", "")),
            )
        case _:
            raise _unreadable(lock_path)


def _unreadable(lock_path: Path) -> ModelDamagedError:
    return ModelDamagedError(
        f"the lock file {lock_path} cannot be read", "restore it, or delete it to start anew"
    )
