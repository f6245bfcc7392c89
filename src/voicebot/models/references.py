"""All ways to name a model, and the one place that understands them.

- a name of the table: ``faster-whisper-base.en``
- an engine and the rest of such a name: ``faster-whisper:base.en``, ``piper:en-us-lessac-medium``
- Piper's own name of any of its voices: ``en_US-lessac-medium``
- a repository of the hub, ``owner/name``, or one file of it, ``owner/name/model.gguf``
- a path: ``./my-whisper``, ``~/voices/anna.onnx``, ``/models/chat.gguf``
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.models.layout import layout_of_file, recognise_layout
from voicebot.models.registry import (
    MODELS,
    SEE_MODEL_CARD,
    HubSource,
    LocalSource,
    Model,
    close_matches,
    piper_voice,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.models.layout import Layout

__all__ = ["ENGINES", "find_reference", "folder_name", "split_engine"]

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "pocketsphinx": "pocketsphinx",
        "faster-whisper": "faster_whisper",
        "wyoming": "",
        "auto": "local_llm",
        "onnx": "local_llm",
        "torch": "local_llm",
        "transformers": "local_llm",
        "openai": "",
        "espeak": "espeak",
        "piper": "piper",
    }
)
"""Every engine as settings call it, and as the table's rows do; empty for a server's client."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PATH_STARTS = ("/", "./", "../", "~", ".\\", "..\\")
_MODEL_FILES = (".gguf", ".onnx")
_PREFIXES = ("faster-whisper-", "piper-")


def split_engine(reference: str) -> tuple[str, str]:
    """The engine that ``reference`` begins with (``auto`` if none), and what follows.

    ``pocketsphinx`` alone is an engine; ``faster-whisper:base.en`` is one with its model.
    """
    engine, colon, rest = reference.strip().partition(":")
    if engine in ENGINES:
        return engine, rest.strip() if colon else ""
    return "auto", reference.strip()


def find_reference(reference: str, models: Mapping[str, Model] = MODELS) -> Model:
    """The model that ``reference`` names, in any of the ways above; nothing is fetched.

    Raises:
        ConfigError: nothing is called so (close matches are named), or lies there.
        ModelDamagedError: the files there are no model that an engine runs.
        ModelUnsafeError: the files there are of a format that may carry code.
    """
    engine, name = split_engine(reference)
    if not name:
        raise ConfigError(f"{reference!r} names an engine and no model", "write it as ENGINE:MODEL")
    for candidate in (name, f"{engine}-{name}", *(prefix + name for prefix in _PREFIXES)):
        if candidate in models:
            return models[candidate]
    if (voice := piper_voice(name)) is not None:
        return models.get(voice.name, voice)
    if name.startswith(_PATH_STARTS) or _is_existing_path(name):
        return _local(name)
    if (found := _in_repository(name)) is not None:
        return found
    whole = name if engine == "auto" else f"{engine}-{name}"
    raise ConfigError(f"no model is called {reference!r}", close_matches(whole, models))


def folder_name(model: str) -> str:
    """The name of the folder that a model's files lie in."""
    return model.replace("/", "--")


def _is_existing_path(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or (name.endswith(_MODEL_FILES) and path.is_file())


def _local(name: str) -> Model:
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        names = {item.name for item in path.iterdir() if item.is_file()}
        layout = recognise_layout(names, str(path))
    elif path.is_file():
        names = {item.name for item in path.parent.iterdir()}
        layout = layout_of_file(path.name, names, str(path.parent))
    else:
        raise ConfigError(f"there is no {path}", "check the path of the model")
    return Model(
        name=str(path),
        role=layout.role,
        languages=(),
        size_bytes=0,
        licence="unknown",
        engine=layout.engine,
        source=LocalSource(path if path.is_dir() else path.parent),
        entry=layout.entry,
    )


def _in_repository(name: str) -> Model | None:
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if _REPOSITORY.fullmatch(f"{owner}/{repository}") is None:
        return None
    source = HubSource(f"{owner}/{repository}", None)
    if not file:
        return _of_repository(name, source, None)
    layout = layout_of_file(file, {file, f"{file}.json"}, f"{owner}/{repository}")
    return _of_repository(name, HubSource(source.repository, layout.files), layout)


def _of_repository(name: str, source: HubSource, layout: Layout | None) -> Model:
    return Model(
        name=name,
        role=layout.role if layout else "unknown",
        languages=(),
        size_bytes=None,
        licence=SEE_MODEL_CARD,
        engine=layout.engine if layout else "",
        source=source,
        entry=layout.entry if layout else "",
    )
