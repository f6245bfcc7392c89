"""Which engine and which model does the work of each stage, and why."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from voicebot.errors import ConfigError
from voicebot.models.registry import MODELS, Role, find_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.config import AsrSettings, LlmSettings, Settings, TtsSettings

__all__ = ["ChosenProfile", "StageChoice", "choose_profile"]

_ROLES: Mapping[Role, str] = MappingProxyType(
    {"asr": "recogniser", "llm": "language model", "tts": "voice"}
)

_SERVERS = frozenset({"openai", "wyoming"})
"""Engines whose models are on a server and not in the registry."""


@dataclass(frozen=True, slots=True)
class StageChoice:
    """What does the work of one stage.

    Attributes:
        engine: as in the settings (``pocketsphinx``); never ``auto`` but for the language model,
            where it means whatever runs the model fastest on this machine.
        model: its name in the registry; for a server's engine the name that the server knows.
    """

    engine: str
    model: str

    @property
    def is_server(self) -> bool:
        """Whether a server does the work, with a model that is not in the registry."""
        return self.engine in _SERVERS


@dataclass(frozen=True, slots=True)
class ChosenProfile:
    """A profile and why it was taken.

    Attributes:
        name: as in the settings.
        asr: the recogniser.
        llm: the language model.
        tts: the synthesiser.
        reason: one line for the user.
        asr_fallback: the recogniser that goes on when the first fails, if any.
        llm_fallback: likewise, the language model.
        tts_fallback: likewise, the synthesiser.
    """

    name: str
    asr: StageChoice
    llm: StageChoice
    tts: StageChoice
    reason: str
    asr_fallback: StageChoice | None = None
    llm_fallback: StageChoice | None = None
    tts_fallback: StageChoice | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The registry's models that must be here, in the order of the conversation."""
        return ("silero-vad-v6", "smart-turn-v3.2", *self.models_of("asr", "llm", "tts"))

    def models_of(self, *roles: Role) -> tuple[str, ...]:
        """The registry's models that the stages of ``roles`` and their fallbacks need."""
        stages: Mapping[Role, tuple[StageChoice | None, ...]] = {
            "asr": (self.asr, self.asr_fallback),
            "llm": (self.llm, self.llm_fallback),
            "tts": (self.tts, self.tts_fallback),
        }
        wanted = (stage for role in roles for stage in stages[role] if stage is not None)
        names = (stage.model for stage in wanted if not stage.is_server and stage.model in MODELS)
        return tuple(dict.fromkeys(names))


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
        asr_fallback=_fallback("asr", settings.asr),
        llm_fallback=_fallback("llm", settings.llm),
        tts_fallback=_fallback("tts", settings.tts),
    )


def _fallback(role: Role, section: AsrSettings | LlmSettings | TtsSettings) -> StageChoice | None:
    """What ``ENGINE:MODEL`` stands for; without a model that of the embedded profile, or any."""
    if not section.fallback.strip():
        return None
    engine, _, model = (part.strip() for part in section.fallback.partition(":"))
    known = get_args(type(section).model_fields["engine"].annotation)
    if engine not in known:
        raise ConfigError(
            f"{role}.fallback names the engine {engine}, which is not known",
            f"give one of {', '.join(known)}, with :MODEL behind it if you like",
        )
    embedded: StageChoice = getattr(_PROFILES["embedded"], role)
    if engine in {"auto", embedded.engine}:
        return _chosen(role, embedded, engine, model, setting="fallback")
    return _chosen(role, StageChoice(engine, ""), engine, model, setting="fallback")


def _chosen(
    role: Role, default: StageChoice, engine: str, model: str, *, setting: str = "model"
) -> StageChoice:
    chosen = StageChoice(
        default.engine if engine == "auto" else engine,
        model
        or (
            default.model
            if engine in {"auto", default.engine} or (role == "llm" and engine not in _SERVERS)
            else ""
        ),
    )
    if chosen.is_server:
        return chosen
    if not chosen.model:
        fitting = next((one for one in MODELS.values() if _runs(one.engine, chosen.engine)), None)
        chosen = StageChoice(chosen.engine, fitting.name if fitting else "")
    if find_model(chosen.model).role != role:
        raise ConfigError(
            f"{role}.{setting} names {chosen.model}, which is not a {_ROLES[role]}",
            "'voicebot models list' shows the role of each",
        )
    return chosen


def _runs(model_engine: str, engine: str) -> bool:
    return model_engine == engine.replace("-", "_")
