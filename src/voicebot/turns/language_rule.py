"""Which rule ends turns in a language, by what its evidence was made for."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["FUSED_LANGUAGES", "SMART_TURN_LANGUAGES", "TurnRule", "turn_rule"]

TurnRule: TypeAlias = Literal["fused", "plain", "smart-turn", "silence"]
"""The rules there are, see ``waits.py``."""

FUSED_LANGUAGES = frozenset({"en"})
"""The fused rule was fitted to recordings of these: its weights for the recogniser's confidence,
the language model's end of turn, the number of words and spelling hold for nothing else."""

SMART_TURN_LANGUAGES = frozenset(
    {
        *("ar", "bn", "zh", "da", "nl", "de", "en", "fi", "fr", "hi", "id", "it", "ja", "ko"),
        *("mr", "no", "pl", "pt", "ru", "es", "tr", "uk", "vi"),
    }
)
"""What smart-turn v3 was trained on, as the README of its repository (pipecat-ai/smart-turn, v3.2)
lists it: 23 languages."""


def turn_rule(language: str) -> TurnRule:
    """The rule for a language, by its ISO 639 code.

    The fused rule where it was fitted, else smart-turn alone where that knows the language, else
    silence alone.
    """
    if language in FUSED_LANGUAGES:
        return "fused"
    return "smart-turn" if language in SMART_TURN_LANGUAGES else "silence"
