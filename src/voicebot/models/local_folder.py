"""A language model that the user names by its path: made ready for the engine, once.

A GGUF file is converted beside itself, and a network of Llama's family gets its graph beside its
weights; later starts find both.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from voicebot.errors import ModelError, ModelMissingError
from voicebot.models.convert import convert_gguf
from voicebot.models.llama_shape import GRAPH_NAME, LlamaShape
from voicebot.models.model_json import read_json

__all__ = ["add_graph", "prepared_folder"]

_CONVERTED = ".voicebot"
_log = logging.getLogger("voicebot.models")


def prepared_folder(path: Path) -> Path:
    """The folder of safetensors that ``path`` stands for.

    Args:
        path: a GGUF file, or a folder of safetensors or with one GGUF file.

    Raises:
        ModelMissingError: there is nothing at ``path``.
        ModelError: a folder holds several GGUF files, or parts of one.
        ModelDamagedError: the GGUF file cannot be read.
        ModelFetchError: what it is converted to cannot be written.
    """
    gguf = _gguf_of(path)
    if gguf is None:
        return path
    target = gguf.with_name(gguf.name + _CONVERTED)
    if target.is_dir() and target.stat().st_mtime < gguf.stat().st_mtime:
        shutil.rmtree(target, ignore_errors=True)  # It was made of an older file.
    if not target.is_dir():
        _log.info("converting %s, once", gguf)
        convert_gguf(gguf, target)
    return target


def add_graph(folder: Path) -> None:
    """Write the graph of a network that has one, if it is not there yet.

    Where it cannot be written, or memory is short, the network runs without, more slowly.

    Raises:
        ModelDamagedError: the folder's files cannot be read.
    """
    if (folder / GRAPH_NAME).exists() or not (folder / "config.json").is_file():
        return
    if LlamaShape.from_config(read_json(folder / "config.json")) is None:
        return
    from voicebot.models.llama_onnx import write_llama_onnx  # noqa: PLC0415 (imports torch)

    try:
        # For a moment the weights are in memory twice and more.
        with tempfile.TemporaryDirectory(prefix=".graph-", dir=folder) as scratch:
            file = Path(scratch) / GRAPH_NAME
            _log.info("writing the graph of %s, once", folder)
            if write_llama_onnx(folder, file):
                file.replace(folder / GRAPH_NAME)
    except (OSError, MemoryError) as error:
        _log.warning("%s gets no graph, the model runs without: %s", folder, error)


def _gguf_of(path: Path) -> Path | None:
    if path.is_file():
        # Whatever its name: a file can only be GGUF, and the converter tells if it is not.
        return path
    if not path.is_dir():
        raise ModelMissingError(f"there is no language model in {path}", "check llm.model")
    if any(path.glob("*.safetensors")):
        return None
    files = sorted(path.glob("*.gguf"))
    if len(files) > 1:
        raise ModelError(
            f"{path} holds several GGUF files: {', '.join(file.name for file in files)}",
            "set llm.model to the path of one of them",
        )
    return files[0] if files else None
