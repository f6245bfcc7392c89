"""The table of every model that voicebot knows, and the profiles made of them.

A checksum, size or licence stands here only if it was computed from the published file, or read in
the published package or on the page that the row names. What could not be read is None (or says
where to read it); for a hub file the first download then records its revision and checksums, see
``lock.py``.
"""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.models.registry.embedded import EMBEDDED_MODELS
from voicebot.models.registry.language_models import LANGUAGE_MODELS
from voicebot.models.registry.model import (
    SEE_MODEL_CARD,
    BundledSource,
    HubSource,
    LocalSource,
    Model,
    ModelFile,
    ModelSource,
    Preparation,
    Role,
    WheelSource,
)
from voicebot.models.registry.profiles import (
    PROFILES,
    SENSES,
    SpokenRole,
    default_model,
    voice_for,
)
from voicebot.models.registry.recognisers import RECOGNISERS
from voicebot.models.registry.voices import VOICES, piper_voice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MODELS",
    "PROFILES",
    "SEE_MODEL_CARD",
    "SENSES",
    "BundledSource",
    "HubSource",
    "LocalSource",
    "Model",
    "ModelFile",
    "ModelSource",
    "Preparation",
    "Role",
    "SpokenRole",
    "WheelSource",
    "close_matches",
    "default_model",
    "find_model",
    "piper_voice",
    "profiles_of",
    "voice_for",
]

MODELS: Mapping[str, Model] = MappingProxyType(
    {model.name: model for model in (*EMBEDDED_MODELS, *RECOGNISERS, *LANGUAGE_MODELS, *VOICES)}
)
"""Every model by its name."""


def find_model(name: str, models: Mapping[str, Model] = MODELS) -> Model:
    """The model called ``name`` in the table; see ``references.py`` for all ways to name one.

    Raises:
        ConfigError: there is none; close matches are named.
    """
    try:
        return models[name]
    except KeyError:
        raise ConfigError(f"no model is called {name!r}", close_matches(name, models)) from None


def profiles_of(name: str) -> tuple[str, ...]:
    """The profiles that the model called ``name`` is part of in English."""
    return tuple(profile for profile, members in PROFILES.items() if name in members)


def close_matches(name: str, known: Iterable[str]) -> str:
    """The way out of a name that is not known."""
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "see `voicebot models list`"
