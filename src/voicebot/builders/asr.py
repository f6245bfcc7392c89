"""Building the recogniser that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr
    from voicebot.models.store import ModelStore

__all__ = ["asr_factory"]


def asr_factory(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Asr]:
    """How to build the recogniser; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine.
        ModelMissingError: its model is not in the store.
    """
    del settings, store
    if choice.engine == "pocketsphinx":
        return _pocketsphinx
    raise ConfigError(f"asr.engine = {choice.engine} is not here yet", "choose pocketsphinx")


def _pocketsphinx() -> Asr:
    from voicebot.engines.pocketsphinx import PocketSphinxAsr  # noqa: PLC0415

    return PocketSphinxAsr()
