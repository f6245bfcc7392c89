"""What a set of files is: told by their names, for models that stand in no table.

A folder of the user's own and any repository of the hub are looked at in the same way. Only files
in formats that hold no code count.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError, ModelUnsafeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from voicebot.models.registry import Role

__all__ = ["Layout", "layout_of_file", "recognise_layout"]

_WHISPER = (
    "model.bin",
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.*",
)
_TRANSFORMERS = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "merges.txt",
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5")


@dataclass(frozen=True, slots=True)
class Layout:
    """What files are, and which of them are wanted.

    Attributes:
        role: the stage they serve.
        engine: what runs them, as in ``Model.engine``.
        files: those that are wanted, with ``/`` between parts.
        entry: what the engine is given below their folder; empty for the folder itself.
    """

    role: Role
    engine: str
    files: tuple[str, ...]
    entry: str = ""


def recognise_layout(names: Collection[str], where: str) -> Layout:
    """What the files ``names`` are.

    Args:
        names: paths below their folder, with ``/`` between parts.
        where: the folder or repository, as an error shall name it.

    Raises:
        ModelDamagedError: they are no model that an engine here runs, or more than one.
        ModelUnsafeError: the weights are there only in a format that may carry code.
    """
    top = sorted(name for name in names if "/" not in name)
    if "model.bin" in top and "config.json" in top:
        return Layout("asr", "faster_whisper", _matching(top, _WHISPER))
    # Mistral's repositories hold their weights a second time for Mistral's own loader.
    once = [name for name in top if not name.startswith("consolidated")]
    if "config.json" in top and any(name.endswith(".safetensors") for name in once):
        return Layout("llm", "local_llm", _matching(once, _TRANSFORMERS))
    entries = sorted(name for name in names if name.endswith((".gguf", ".onnx")))
    voices = [name for name in entries if name.endswith(".onnx") and f"{name}.json" in names]
    candidates = voices or [name for name in entries if name.endswith(".gguf")]
    if len(candidates) == 1:
        return layout_of_file(candidates[0], names, where)
    if candidates:
        raise ModelDamagedError(
            f"{where} holds {len(candidates)} models",
            f"name one of its files, such as {where}/{candidates[0]}",
        )
    if entries:  # an ONNX file alone
        return layout_of_file(entries[0], names, where)
    if "model.bin" in top and any(fnmatchcase(name, "vocabulary.*") for name in top):
        raise ModelDamagedError(
            f"{where} has a model.bin and no config.json",
            "a Whisper in CTranslate2's form wants both: copy all of its files",
        )
    if pickles := [name for name in top if name.endswith(_PICKLES)]:
        raise ModelUnsafeError(
            f"{where} has its weights only in {pickles[0]}, a format that may carry code",
            "take one that offers safetensors, GGUF, ONNX or CTranslate2",
        )
    raise ModelDamagedError(
        f"{where} holds no model that voicebot can run",
        "it takes Whisper in CTranslate2's form, language models in safetensors or GGUF, and "
        "Piper voices",
    )


def layout_of_file(name: str, names: Collection[str], where: str) -> Layout:
    """What the one file ``name`` among ``names`` is: a GGUF model or a Piper voice.

    Raises:
        ModelDamagedError: it is neither, or a voice without its configuration.
    """
    if name.endswith(".gguf"):
        return Layout("llm", "local_llm", (name,), name)
    if not name.endswith(".onnx"):
        raise ModelDamagedError(
            f"{where}/{name} is no model file", "name a .gguf or .onnx file, or a folder"
        )
    if f"{name}.json" not in names:
        raise ModelDamagedError(
            f"the voice {name} in {where} lacks its configuration {name}.json",
            "put both files of the voice into one folder",
        )
    return Layout("tts", "piper", (name, f"{name}.json"), name)


def _matching(names: Collection[str], patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
