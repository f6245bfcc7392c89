"""Which files in a model's folder hold its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError, ModelMissingError
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["safetensors_files"]

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def safetensors_files(folder: Path) -> list[Path]:
    """The safetensors that transformers' names stand in; some folders hold a second copy.

    Raises:
        ModelMissingError: there are none, or a part that the index names is not there.
        ModelDamagedError: the index cannot be read.
    """
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if not (folder / _INDEX).is_file():
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelMissingError(
                f"there are no safetensors in {folder}", "fetch the model again"
            )
        return files
    parts = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(one, str) for one in parts.values()):
        raise ModelDamagedError(f"{folder / _INDEX} names no files", "fetch the model again")
    files = [folder / name for name in sorted(set(parts.values()))]
    absent = next((file.name for file in files if not file.is_file()), None)
    if absent is not None or not files:
        raise ModelMissingError(
            f"{absent or 'every file of weights'} is missing in {folder}", "fetch the model again"
        )
    return files
