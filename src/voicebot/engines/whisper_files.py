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
_MARKS = ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")
_TIME_STAMPS = 1501
"""They follow the last mark in every Whisper's vocabulary: 0.00 to 30.00 s in steps of 20 ms."""
_TOKEN_LISTS = ("suppress_ids", "suppress_ids_begin")
_PAIR = 2
_FETCH_AGAIN = "fetch the model again"


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
    tokens = _vocabulary(vocabulary)
    if not _belong_together(folder / "tokenizer.json", tokens):
        raise ModelDamagedError(
            f"{vocabulary.name} and tokenizer.json of {folder.name} are not those of one Whisper",
            _FETCH_AGAIN,
        )
    if not _is_whisper_config(folder / "config.json", len(tokens)):
        raise ModelDamagedError(
            f"config.json of {folder.name} is not that of a Whisper in CTranslate2's format",
            _FETCH_AGAIN,
        )


def _vocabulary(path: Path) -> list[object]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        content = json.loads(text)
        return content if isinstance(content, list) else []
    # Not splitlines: a token may be a character at which that would split.
    return list(text.removesuffix("\n").split("\n"))


def _belong_together(tokenizer: Path, vocabulary: list[object]) -> bool:
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    added = content.get("added_tokens") if isinstance(content, dict) else None
    ids: dict[object, object] = {}
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict):
            ids[token.get("content")] = token.get("id")
    for name in _MARKS:
        place = ids.get(name)
        if not isinstance(place, int) or not 0 <= place < len(vocabulary):
            return False
        if vocabulary[place] != name:
            return False
    last_mark = ids[_MARKS[-1]]
    return isinstance(last_mark, int) and len(vocabulary) > last_mark + _TIME_STAMPS


def _is_whisper_config(path: Path, vocabulary: int) -> bool:
    """Whether CTranslate2 can use it: it ends the process over lists that are not there."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return False
    if not all(name in content for name in _TOKEN_LISTS):
        return False
    for name in (*_TOKEN_LISTS, "lang_ids"):
        ids = content.get(name) or []
        if not isinstance(ids, list) or not all(
            isinstance(one, int) and one < vocabulary for one in ids
        ):
            return False
    heads = content.get("alignment_heads") or []
    return isinstance(heads, list) and all(
        isinstance(pair, list)
        and len(pair) == _PAIR
        and all(isinstance(number, int) and number >= 0 for number in pair)
        for pair in heads
    )


def _without_model(folder: Path) -> ConfigError | ModelMissingError:
    if any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").is_file():
        kind = _transformers_kind(folder / "config.json")
        if kind not in {None, "whisper"}:
            return ConfigError(
                f"{folder.name} is a model of another kind ({kind}), not a Whisper",
                "choose a model whose role is asr: 'voicebot models list' shows them",
            )
        return ConfigError(
            f"{folder.name} holds a transformers checkpoint, not a CTranslate2 model",
            "take one of the faster-whisper models, or convert it: ct2-transformers-converter "
            f"--model {folder} --output_dir NEW --copy_files tokenizer.json "
            "preprocessor_config.json",
        )
    return _missing(folder, "model.bin")


def _transformers_kind(config: Path) -> str | None:
    """The ``model_type`` that a transformers checkpoint states; None if it states none."""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = content.get("model_type") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else None


def _missing(folder: Path, name: str) -> ModelMissingError:
    return ModelMissingError(
        f"{folder.name} has no {name}",
        "fetch the model again; one of your own wants all files of a faster-whisper model",
    )
