"""Whether a folder holds a Whisper that faster-whisper can load, told before anything loads it.

CTranslate2's ``model.bin`` is raw numbers with a header: version, name of the specification,
revision (``ModelSpec._serialize`` of the package). The name tells a Whisper from anything else.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError, ModelDamagedError, ModelMissingError
from voicebot.models.formats import check_format

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_whisper_folder"]

_SPECIFICATION = "WhisperSpec"
_HEADER = struct.Struct("<IH")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_OPTIONAL = ("preprocessor_config.json",)
_LEAST_VOCABULARY = 1500
"""The time stamps alone are more."""


def check_whisper_folder(folder: Path) -> None:
    """Let ``folder`` pass only if its files are those of a Whisper in CTranslate2's format.

    Raises:
        ConfigError: it holds another model, or a Whisper in another format.
        ModelMissingError: it is no folder, or a file is not there.
        ModelDamagedError: a file is not what its name promises.
        ModelUnsafeError: a file's format may carry code.
    """
    if not folder.is_dir():
        raise ModelMissingError(f"there is no model folder {folder}", "set asr.model to one")
    model = folder / "model.bin"
    if not model.is_file():
        raise _without_model(folder)
    vocabulary = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    needed = [folder / "config.json", folder / "tokenizer.json"]
    for path in needed:
        if not path.is_file():
            raise _missing(folder, path.name)
    if vocabulary is None:
        raise _missing(folder, _VOCABULARIES[0])
    optional = [folder / name for name in _OPTIONAL if (folder / name).is_file()]
    for path in (model, *needed, vocabulary, *optional):
        check_format(path)
    with model.open("rb") as file:
        head = file.read(64)
    _, length = _HEADER.unpack_from(head)
    name = head[_HEADER.size : _HEADER.size + length - 1].decode(errors="replace")
    if name != _SPECIFICATION:
        raise ConfigError(
            f"{folder.name} is a CTranslate2 model of another kind ({name}), not a Whisper",
            "choose a model whose role is asr: 'voicebot models list' shows them",
        )
    if _vocabulary_size(vocabulary) < _LEAST_VOCABULARY:
        raise ModelDamagedError(
            f"{vocabulary.name} of {folder.name} is not the vocabulary of a Whisper",
            "fetch the model again",
        )


def _vocabulary_size(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        content = json.loads(text)
        return len(content) if isinstance(content, list) else 0
    return len(text.splitlines())


def _without_model(folder: Path) -> ConfigError | ModelMissingError:
    if any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").is_file():
        return ConfigError(
            f"{folder.name} holds a transformers checkpoint, not a CTranslate2 model",
            "take one of the faster-whisper models, or convert it: ct2-transformers-converter "
            f"--model {folder} --output_dir NEW --copy_files tokenizer.json "
            "preprocessor_config.json",
        )
    return _missing(folder, "model.bin")


def _missing(folder: Path, name: str) -> ModelMissingError:
    return ModelMissingError(
        f"{folder.name} has no {name}",
        "fetch the model again; one of your own wants all files of a faster-whisper model",
    )
