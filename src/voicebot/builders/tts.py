"""Building the synthesiser that was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.choice import is_path
from voicebot.errors import ConfigError
from voicebot.languages import find_language
from voicebot.tuning import chosen_threads, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Tts
    from voicebot.models.store import ModelStore

__all__ = ["espeak_voice", "tts_factory"]

_SLOWEST_WPM, _FASTEST_WPM = 80, 450
_MOST_THREADS = 4


def tts_factory(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Tts]:
    """How to build the synthesiser; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine.
        ModelMissingError: its model is not in the store.
    """
    if choice.engine == "espeak":
        if is_path(choice.model):
            raise ConfigError(
                f"tts.model = {choice.model} is no voice of eSpeak NG", "set tts.engine = piper"
            )
        return _espeak(settings)
    if choice.engine == "piper":
        return _piper(choice, settings, store)
    raise ConfigError(f"tts.engine = {choice.engine} is not here yet", "choose espeak or piper")


def espeak_voice(settings: Settings) -> str:
    """ESpeak NG's voice: the one that is set, or the language's."""
    return settings.tts.voice or find_language(settings.language).espeak_voice


def _espeak(settings: Settings) -> Callable[[], Tts]:
    def build() -> Tts:
        from voicebot.engines.espeak import EspeakTts  # noqa: PLC0415

        rate_wpm = round(settings.tts.rate_wpm * settings.tts.speed)
        return EspeakTts(
            espeak_voice(settings),
            rate_wpm=min(max(rate_wpm, _SLOWEST_WPM), _FASTEST_WPM),
            trim=settings.tts.trim,
        )

    return build


def _piper(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Tts]:
    path = Path(choice.model).expanduser() if is_path(choice.model) else store.path(choice.model)
    tts = settings.tts

    def build() -> Tts:
        from voicebot.engines.piper import PiperTts  # noqa: PLC0415

        return PiperTts.load(
            path,
            threads=tts.threads or chosen_threads("tts", choice.model) or _default_threads(),
            device=tts.device,
            speaker=tts.speaker,
            speed=tts.speed,
            variation=tts.variation,
            rhythm_variation=tts.rhythm_variation,
            trim=tts.trim,
        )

    return build


def _default_threads() -> int:
    """Half of the cores: the language model writes on while the voice speaks."""
    return min(max(usable_cores() // 2, 1), _MOST_THREADS)
