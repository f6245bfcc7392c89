"""What is said aloud of what supervision found, in the languages of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.supervision.facts import MicrophoneDied

if TYPE_CHECKING:
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["MICROPHONE_DIED", "spoken_notice"]

MICROPHONE_DIED = {
    "en": "I cannot hear anything. Please tell the staff that the microphone does not work.",
    "de": "Ich höre nichts. Bitte sagen Sie dem Personal, dass das Mikrofon nicht geht.",
    "fr": "Je n'entends rien. Veuillez signaler au personnel que le micro ne marche pas.",
    "es": "No oigo nada. Por favor, avise al personal de que el micrófono no funciona.",
}
"""By ISO 639 code."""


def spoken_notice(fact: SupervisionFact, language: str) -> str | None:
    """What visitors are to be told of ``fact``; None if it is nothing for them."""
    if isinstance(fact, MicrophoneDied):
        return MICROPHONE_DIED.get(language, MICROPHONE_DIED["en"])
    return None
