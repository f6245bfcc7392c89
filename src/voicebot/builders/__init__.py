"""How the engines of a chosen profile are built: one module a stage, one function an engine.

Here settings, the model store and the engines meet, and nowhere else. Engines bring heavy
libraries along, so each is imported where it is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.builders.asr import asr_factory
from voicebot.builders.knowledge import with_knowledge_and_guard
from voicebot.builders.llm import llm_factory
from voicebot.builders.tts import tts_factory
from voicebot.builders.turns import turn_detector_factory, vad_factory
from voicebot.cascade import EngineFactories
from voicebot.fallbacks import FallbackReports

if TYPE_CHECKING:
    from voicebot.choice import ChosenProfile
    from voicebot.config import Settings
    from voicebot.models.store import ModelStore

__all__ = ["asr_factory", "engine_factories", "llm_factory", "tts_factory"]


def engine_factories(
    chosen: ChosenProfile, settings: Settings, store: ModelStore
) -> EngineFactories:
    """How to build the engines that were chosen; nothing is loaded yet.

    Raises:
        ConfigError: a setting asks for what is not there.
        ModelMissingError: a model is not in the store.
    """
    reports = FallbackReports()
    return EngineFactories(
        vad=vad_factory(store),
        turn_detector=turn_detector_factory(store),
        asr=asr_factory(chosen.asr, settings, store, fallback=chosen.asr_fallback, reports=reports),
        llm=with_knowledge_and_guard(
            llm_factory(chosen.llm, settings, store, fallback=chosen.llm_fallback, reports=reports),
            settings,
            store,
        ),
        tts=tts_factory(chosen.tts, settings, store, fallback=chosen.tts_fallback, reports=reports),
        fallbacks=reports,
    )
