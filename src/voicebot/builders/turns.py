"""Building what hears speech begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.tuning import chosen_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.engines.protocols import TurnDetector, Vad
    from voicebot.models.store import ModelStore

__all__ = ["turn_detector_factory", "vad_factory"]

_VAD_MODEL = "silero-vad-v6"
_TURN_MODEL = "smart-turn-v3.2"


def vad_factory(store: ModelStore) -> Callable[[], Vad]:
    """How to build voice activity; nothing is loaded yet.

    Raises:
        ModelMissingError: its model is not in the store.
    """
    path = store.path(_VAD_MODEL)

    def build() -> Vad:
        from voicebot.turns.silero import SileroVad  # noqa: PLC0415

        return SileroVad(path)

    return build


def turn_detector_factory(store: ModelStore) -> Callable[[], TurnDetector]:
    """How to build turn completeness; nothing is loaded yet.

    Raises:
        ModelMissingError: its model is not in the store.
    """
    path = store.path(_TURN_MODEL)

    def build() -> TurnDetector:
        from voicebot.turns.smart_turn import SmartTurn  # noqa: PLC0415

        return SmartTurn(path, threads=chosen_threads("turn", _TURN_MODEL) or 1)

    return build
