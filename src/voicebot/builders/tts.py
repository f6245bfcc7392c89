"""Building the synthesiser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.builders.fallbacks import fallback_plan
from voicebot.builders.servers import wyoming_place
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Tts
    from voicebot.fallbacks import FallbackReports
    from voicebot.models.store import ModelStore

__all__ = ["tts_factory"]


def tts_factory(
    choice: StageChoice,
    fallback: StageChoice | None,
    settings: Settings,
    store: ModelStore,
    reports: FallbackReports,
) -> Callable[[], Tts]:
    """How to build the synthesiser and its fallback; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine, or its server's address is none.
        ModelMissingError: its model is not in the store.
    """
    first = _engine(choice, settings, store, has_fallback=fallback is not None)
    if fallback is None:
        return first
    second = _engine(fallback, settings, store, has_fallback=True)
    plan = fallback_plan("synthesis", choice, fallback, settings, reports)

    def build() -> Tts:
        from voicebot.engines.fallback import FallbackTts  # noqa: PLC0415

        return FallbackTts(first, second, plan)

    return build


def _engine(
    choice: StageChoice, settings: Settings, store: ModelStore, *, has_fallback: bool
) -> Callable[[], Tts]:
    del store
    if choice.engine == "espeak":
        return _espeak(settings)
    if choice.engine == "wyoming":
        return _wyoming(choice, settings, has_fallback=has_fallback)
    raise ConfigError(f"tts.engine = {choice.engine} is not here yet", "choose espeak")


def _espeak(settings: Settings) -> Callable[[], Tts]:
    def build() -> Tts:
        from voicebot.engines.espeak import EspeakTts  # noqa: PLC0415

        return EspeakTts(settings.tts.voice, rate_wpm=settings.tts.rate_wpm, trim=settings.tts.trim)

    return build


def _wyoming(choice: StageChoice, settings: Settings, *, has_fallback: bool) -> Callable[[], Tts]:
    place = wyoming_place("tts.url", settings.tts.url, settings, has_fallback=has_fallback)

    def build() -> Tts:
        from voicebot.engines.wyoming_tts import WyomingTts  # noqa: PLC0415

        return WyomingTts(
            place, voice=choice.model, language=settings.language, trims=settings.tts.trim
        )

    return build
