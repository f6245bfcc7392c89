"""Building the synthesiser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.languages import find_language

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Tts
    from voicebot.models.store import ModelStore

__all__ = ["espeak_voice", "tts_factory"]


def tts_factory(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Tts]:
    """How to build the synthesiser; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine.
        ModelMissingError: its model is not in the store.
    """
    del store
    if choice.engine == "espeak":
        return _espeak(settings)
    raise ConfigError(f"tts.engine = {choice.engine} is not here yet", "choose espeak")


def espeak_voice(settings: Settings) -> str:
    """ESpeak NG's voice: the one that is set, or the language's."""
    return settings.tts.voice or find_language(settings.language).espeak_voice


def _espeak(settings: Settings) -> Callable[[], Tts]:
    def build() -> Tts:
        from voicebot.engines.espeak import EspeakTts  # noqa: PLC0415

        tts = settings.tts
        return EspeakTts(espeak_voice(settings), rate_wpm=tts.rate_wpm, trim=tts.trim)

    return build
