"""Building the recogniser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.builders.fallbacks import fallback_plan
from voicebot.builders.servers import wyoming_place
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr
    from voicebot.fallbacks import FallbackReports
    from voicebot.models.store import ModelStore

__all__ = ["asr_factory"]


def asr_factory(
    choice: StageChoice,
    fallback: StageChoice | None,
    settings: Settings,
    store: ModelStore,
    reports: FallbackReports,
) -> Callable[[], Asr]:
    """How to build the recogniser and its fallback; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine, or its server's address is none.
        ModelMissingError: its model is not in the store.
    """
    first = _engine(choice, settings, store, has_fallback=fallback is not None)
    if fallback is None:
        return first
    second = _engine(fallback, settings, store, has_fallback=True)
    plan = fallback_plan("recognition", choice, fallback, settings, reports)

    def build() -> Asr:
        from voicebot.engines.fallback import FallbackAsr  # noqa: PLC0415

        return FallbackAsr(first, second, plan)

    return build


def _engine(
    choice: StageChoice, settings: Settings, store: ModelStore, *, has_fallback: bool
) -> Callable[[], Asr]:
    del store
    if choice.engine == "pocketsphinx":
        return _pocketsphinx
    if choice.engine == "wyoming":
        return _wyoming(choice, settings, has_fallback=has_fallback)
    raise ConfigError(f"asr.engine = {choice.engine} is not here yet", "choose pocketsphinx")


def _pocketsphinx() -> Asr:
    from voicebot.engines.pocketsphinx import PocketSphinxAsr  # noqa: PLC0415

    return PocketSphinxAsr()


def _wyoming(choice: StageChoice, settings: Settings, *, has_fallback: bool) -> Callable[[], Asr]:
    place = wyoming_place("asr.url", settings.asr.url, settings, has_fallback=has_fallback)

    def build() -> Asr:
        from voicebot.engines.wyoming_asr import WyomingAsr  # noqa: PLC0415

        return WyomingAsr(place, model=choice.model, language=settings.language)

    return build
