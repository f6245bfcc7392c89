"""Whether a model's folder holds a language model that may be loaded; nothing heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicebot.errors import ModelDamagedError, ModelError, ModelMissingError, ModelUnsafeError
from voicebot.models.model_json import read_json
from voicebot.models.safetensors_files import safetensors_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["checked_config"]

_UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_WRITES_TEXT = ("ForCausalLM", "LMHeadModel")
_MAY_WRITE_TEXT = "ForConditionalGeneration"
"""Models of text and images are named so, and so are translators and recognisers of speech."""


def checked_config(path: Path) -> dict[str, Any]:
    """The parsed config.json of a folder that may be loaded.

    Raises:
        ModelMissingError: the folder or one of its files is not there.
        ModelUnsafeError: weights in a format that may carry code, or a model that asks to run
            code of its own.
        ModelDamagedError: config.json cannot be read, or says nothing.
        ModelError: it is a model of another kind.
    """
    if path.is_file():
        raise ModelMissingError(
            f"{path} is a file, not a model's folder", "name its folder, or a GGUF file"
        )
    if not path.is_dir():
        raise ModelMissingError(f"there is no language model in {path}", "fetch the model")
    _check_weights(path)
    config = read_json(path / "config.json")
    if "auto_map" in config and not config.get("model_type"):
        raise ModelUnsafeError(
            f"the model in {path} asks to run code of its own",
            "choose a model whose architecture transformers knows",
        )
    if not config.get("model_type"):
        raise ModelDamagedError(
            f"{path / 'config.json'} names no model type", "fetch the model again"
        )
    if not _writes_text(config):
        raise ModelError(
            f"the model in {path} is no language model for conversation: {config['model_type']}",
            "choose a model whose architecture ends in ForCausalLM",
        )
    return config


def _check_weights(path: Path) -> None:
    if any(path.glob("*.safetensors")):
        safetensors_files(path)
        return
    unsafe = sorted(file.name for file in path.iterdir() if file.suffix in _UNSAFE_SUFFIXES)
    if unsafe:
        raise ModelUnsafeError(
            f"{path / unsafe[0]} is in a format that may carry code",
            "choose a model published as safetensors or GGUF",
        )
    raise ModelMissingError(f"there are no safetensors in {path}", "fetch the model again")


def _writes_text(config: Mapping[str, Any]) -> bool:
    if config.get("is_encoder_decoder"):
        return False
    named = config.get("architectures")
    if not isinstance(named, list) or not named:
        return True  # transformers will tell.
    endings = (*_WRITES_TEXT, _MAY_WRITE_TEXT)
    return any(isinstance(name, str) and name.endswith(endings) for name in named)
