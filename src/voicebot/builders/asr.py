"""Building the recogniser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.builders.fallbacks import fallback_plan
from voicebot.builders.servers import wyoming_place
from voicebot.errors import ConfigError
from voicebot.fallbacks import FallbackReports
from voicebot.tuning import chosen_threads, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr
    from voicebot.models.store import ModelStore

__all__ = ["asr_factory"]

_MOST_THREADS = 4


def asr_factory(
    choice: StageChoice,
    settings: Settings,
    store: ModelStore,
    *,
    fallback: StageChoice | None = None,
    reports: FallbackReports | None = None,
) -> Callable[[], Asr]:
    """How to build the recogniser and its fallback; nothing is loaded yet.

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
    plan = fallback_plan("recognition", choice, fallback, settings, reports or FallbackReports())

    def build() -> Asr:
        from voicebot.engines.fallback import FallbackAsr  # noqa: PLC0415

        return FallbackAsr(first, second, plan)

    return build


def _engine(
    choice: StageChoice, settings: Settings, store: ModelStore, *, has_fallback: bool
) -> Callable[[], Asr]:
    if choice.engine == "pocketsphinx":
        return _pocketsphinx
    if choice.engine == "faster-whisper":
        return _faster_whisper(choice, settings, store)
    if choice.engine == "wyoming":
        return _wyoming(choice, settings, has_fallback=has_fallback)
    raise ConfigError(
        f"asr.engine = {choice.engine} is not known", "choose pocketsphinx or faster-whisper"
    )


def _pocketsphinx() -> Asr:
    from voicebot.engines.pocketsphinx import PocketSphinxAsr  # noqa: PLC0415

    return PocketSphinxAsr()


def _faster_whisper(
    choice: StageChoice, settings: Settings, store: ModelStore
) -> Callable[[], Asr]:
    folder = store.path(choice.model)
    asr = settings.asr

    def build() -> Asr:
        from voicebot.engines.faster_whisper import load_faster_whisper  # noqa: PLC0415
        from voicebot.engines.streaming_recogniser import StreamingRules  # noqa: PLC0415

        return load_faster_whisper(
            folder,
            language=asr.language or settings.language,
            device=asr.device,
            compute_type=asr.compute_type,
            threads=asr.threads
            or chosen_threads("asr", choice.model)
            or min(_MOST_THREADS, usable_cores()),
            padding_s=asr.padding_s,
            beam_size=asr.beam_size,
            rules=StreamingRules(
                every_s=asr.partial_every_ms / 1000.0,
                share=asr.partial_share,
                window_s=asr.window_s,
                context_words=asr.context_words,
                prompt=asr.prompt,
                word_times=asr.word_times,
            ),
        )

    return build


def _wyoming(choice: StageChoice, settings: Settings, *, has_fallback: bool) -> Callable[[], Asr]:
    place = wyoming_place("asr.url", settings.asr.url, settings, has_fallback=has_fallback)

    def build() -> Asr:
        from voicebot.engines.wyoming_asr import WyomingAsr  # noqa: PLC0415

        return WyomingAsr(place, model=choice.model, language=settings.language)

    return build
