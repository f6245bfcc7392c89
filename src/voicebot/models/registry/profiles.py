"""What each profile is made of, by language."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from voicebot.models.registry.voices import VOICES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "SENSES", "SpokenRole", "default_model", "voice_for"]

SpokenRole: TypeAlias = Literal["asr", "llm", "tts"]
"""The stages that a profile chooses a model for."""

SENSES = ("silero-vad-v6", "smart-turn-v3.2")
"""What hears speech begin and end, in every profile."""

_ENGLISH: Mapping[str, Mapping[SpokenRole, str]] = MappingProxyType(
    {
        "embedded": {
            "asr": "pocketsphinx-en-us",
            "llm": "smollm2-135m-instruct",
            "tts": "espeak-ng",
        },
        "cpu": {"asr": "faster-whisper-base.en", "llm": "smollm2-360m-instruct"},
        "gpu": {"asr": "faster-whisper-distil-large-v3", "llm": "qwen2.5-1.5b-instruct"},
    }
)
_OTHER_LANGUAGES: Mapping[str, Mapping[SpokenRole, str]] = MappingProxyType(
    {
        "cpu": {"asr": "faster-whisper-base", "llm": "qwen2.5-0.5b-instruct"},
        "gpu": {"asr": "faster-whisper-large-v3-turbo", "llm": "qwen2.5-1.5b-instruct"},
    }
)


def default_model(profile: str, role: SpokenRole, language: str) -> str:
    """The name of the model that ``profile`` takes for ``role``; empty if it has none of its own.

    It may not know ``language``: the embedded profile has one recogniser, for English.
    """
    models = _ENGLISH.get(profile, {})
    if language != "en":
        models = _OTHER_LANGUAGES.get(profile, models)
    if role == "tts" and profile in {"cpu", "gpu"}:
        return voice_for(language, high=profile == "gpu")
    return models.get(role, "")


def voice_for(language: str, *, high: bool = False) -> str:
    """The voice for ``language``: the table's first, or its high form; else eSpeak NG's."""
    spoken = [voice.name for voice in VOICES if voice.serves(language)]
    if not spoken:
        return "espeak-ng"
    best = spoken[0].rpartition("-")[0] + "-high"
    return best if high and best in spoken else spoken[0]


PROFILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        profile: (
            *SENSES,
            *(default_model(profile, role, "en") for role in ("asr", "llm", "tts")),
        )
        for profile in _ENGLISH
    }
)
"""The models of each profile in English, in the order of the conversation."""
