"""Building the synthesiser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.builders.fallbacks import fallback_plan
from voicebot.builders.servers import wyoming_place
from voicebot.errors import ConfigError
from voicebot.fallbacks import FallbackReports
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


def tts_factory(
    choice: StageChoice,
    settings: Settings,
    store: ModelStore,
    *,
    fallback: StageChoice | None = None,
    reports: FallbackReports | None = None,
) -> Callable[[], Tts]:
    """How to build the synthesiser and its fallback; nothing is loaded yet.

    Args:
        choice: what does the work.
        settings: how.
        store: the folder of models.
        fallback: what goes on when that fails; None for nothing.
        reports: takes word of it when the fallback takes over.

    Raises:
        ConfigError: there is no such engine, or its server's address is none.
        ModelMissingError: its model is not in the store.
    """
    first = _engine(choice, settings, store, has_fallback=fallback is not None)
    if fallback is None:
        return first
    second = _engine(fallback, settings, store, has_fallback=True)
    plan = fallback_plan("synthesis", choice, fallback, settings, reports or FallbackReports())

    def build() -> Tts:
        from voicebot.engines.fallback import FallbackTts  # noqa: PLC0415

        return FallbackTts(first, second, plan)

    return build


def _engine(
    choice: StageChoice, settings: Settings, store: ModelStore, *, has_fallback: bool
) -> Callable[[], Tts]:
    if choice.engine == "espeak":
        return _espeak(settings)
    if choice.engine == "piper":
        return _piper(choice, settings, store)
    if choice.engine == "wyoming":
        return _wyoming(choice, settings, has_fallback=has_fallback)
    raise ConfigError(f"tts.engine = {choice.engine} is not known", "choose espeak or piper")


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
    path = store.path(choice.model)
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


def _wyoming(choice: StageChoice, settings: Settings, *, has_fallback: bool) -> Callable[[], Tts]:
    place = wyoming_place("tts.url", settings.tts.url, settings, has_fallback=has_fallback)

    def build() -> Tts:
        from voicebot.engines.wyoming_tts import WyomingTts  # noqa: PLC0415

        return WyomingTts(
            place, voice=choice.model, language=settings.language, trims=settings.tts.trim
        )

    return build
