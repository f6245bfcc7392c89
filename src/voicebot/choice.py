"""Which engine and which model does the work of each stage, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.models.registry import MODELS, Role, find_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.config import Settings

__all__ = [
    "ChosenProfile",
    "StageChoice",
    "choose_profile",
    "chosen_encoder",
    "guard_is_on",
    "is_path",
]

_ENCODER = "all-minilm-l6-v2"
_ROLES: Mapping[Role, str] = MappingProxyType(
    {"asr": "recogniser", "llm": "language model", "tts": "voice"}
)


@dataclass(frozen=True, slots=True)
class StageChoice:
    """What does the work of one stage.

    Attributes:
        engine: as in the settings (``pocketsphinx``); never ``auto`` but for the language model,
            where it means whatever runs the model fastest on this machine.
        model: its name in the registry, or the path where it lies; for a server's engine the name
            that the server knows.
    """

    engine: str
    model: str


@dataclass(frozen=True, slots=True)
class ChosenProfile:
    """A profile and why it was taken.

    Attributes:
        name: as in the settings.
        asr: the recogniser.
        llm: the language model.
        tts: the synthesiser.
        reason: one line for the user.
        encoder: the registry's name of the sentence encoder, if knowledge or the guard needs it.
    """

    name: str
    asr: StageChoice
    llm: StageChoice
    tts: StageChoice
    reason: str
    encoder: str = ""

    @property
    def model_names(self) -> dict[str, str]:
        """The model's name for each stage, by its role."""
        return {"asr": self.asr.model, "llm": self.llm.model, "tts": self.tts.model}

    @property
    def models(self) -> tuple[str, ...]:
        """The registry's models that must be here, in the order of the conversation."""
        stages = (self.asr, self.llm, self.tts)
        return (
            "silero-vad-v6",
            "smart-turn-v3.2",
            *(stage.model for stage in stages if stage.model in MODELS),
            *([self.encoder] if self.encoder else []),
        )


@dataclass(frozen=True, slots=True)
class _Stages:
    asr: StageChoice
    llm: StageChoice
    tts: StageChoice


_PROFILES: Mapping[str, _Stages] = MappingProxyType(
    {
        "embedded": _Stages(
            StageChoice("pocketsphinx", "pocketsphinx-en-us"),
            StageChoice("auto", "smollm2-135m-instruct"),
            StageChoice("espeak", "espeak-ng"),
        ),
        "cpu": _Stages(
            StageChoice("faster-whisper", "faster-whisper-base.en"),
            StageChoice("auto", "smollm2-360m-instruct"),
            StageChoice("piper", "piper-en-us-lessac-medium"),
        ),
        "gpu": _Stages(
            StageChoice("faster-whisper", "faster-whisper-base.en"),
            StageChoice("transformers", "qwen2.5-0.5b-instruct"),
            StageChoice("piper", "piper-en-us-lessac-medium"),
        ),
        "remote": _Stages(
            StageChoice("wyoming", ""), StageChoice("openai", ""), StageChoice("wyoming", "")
        ),
    }
)


def choose_profile(settings: Settings) -> ChosenProfile:
    """The profile that the settings ask for; ``auto`` takes the best that is available.

    Raises:
        ConfigError: a setting names a model that is not there, or one of another role.
    """
    name, reason = settings.profile, "as configured"
    if name == "auto":
        name, reason = "embedded", "it needs no model hub"
    stages = _PROFILES[name]
    return ChosenProfile(
        name,
        asr=_chosen("asr", stages.asr, settings.asr.engine, settings.asr.model),
        llm=_chosen("llm", stages.llm, settings.llm.engine, settings.llm.model),
        tts=_chosen("tts", stages.tts, settings.tts.engine, settings.tts.model),
        reason=reason,
        encoder=chosen_encoder(settings),
    )


def chosen_encoder(settings: Settings) -> str:
    """The sentence encoder that the settings call for; empty if none is needed or none fits.

    The encoder knows English; for other languages texts are compared by their spelling.
    """
    needed = settings.knowledge.folder is not None or (
        guard_is_on(settings) and settings.guard.classifier
    )
    return _ENCODER if needed and settings.language in MODELS[_ENCODER].languages else ""


def guard_is_on(settings: Settings) -> bool:
    """Whether anything is to be checked: the guard is enabled, or has a list."""
    guard = settings.guard
    return guard.enabled or guard.words_file is not None or guard.topics_file is not None


def _chosen(role: Role, default: StageChoice, engine: str, model: str) -> StageChoice:
    chosen = StageChoice(
        default.engine if engine == "auto" else engine,
        model or (default.model if engine in {"auto", default.engine} or role == "llm" else ""),
    )
    if chosen.engine in {"openai", "wyoming"}:
        return chosen
    if is_path(chosen.model):
        # Of the synthesisers only Piper has voices in files.
        is_voice = role == "tts" and engine == "auto"
        return StageChoice("piper", chosen.model) if is_voice else chosen
    if not chosen.model:
        fitting = next((one for one in MODELS.values() if _runs(one.engine, chosen.engine)), None)
        chosen = StageChoice(chosen.engine, fitting.name if fitting else "")
    if find_model(chosen.model).role != role:
        raise ConfigError(
            f"{role}.model = {chosen.model} is not a {_ROLES[role]}",
            "'voicebot models list' shows the role of each",
        )
    return chosen


def is_path(model: str) -> bool:
    """Whether a model is named by where it lies on this machine, and is taken as it is."""
    return any(one in model for one in {os.sep, os.altsep or os.sep}) and (
        Path(model).expanduser().exists()
    )


def _runs(model_engine: str, engine: str) -> bool:
    return model_engine == engine.replace("-", "_")
