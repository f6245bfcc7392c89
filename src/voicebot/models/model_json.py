"""The JSON files that lie beside a model's weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voicebot.errors import ModelDamagedError, ModelMissingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_json"]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelMissingError: the file is not there.
        ModelDamagedError: it is not a JSON object.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelMissingError(
            f"the language model's {path.name} is missing in {path.parent}", "fetch the model again"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"cannot read {path}: {error}", "fetch the model again") from error
    if not isinstance(facts, dict):
        raise ModelDamagedError(f"{path} is not a JSON object", "fetch the model again")
    return facts
