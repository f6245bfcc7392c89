"""Which rule ends turns in a language?"""

from __future__ import annotations

import pytest

from voicebot.languages import LANGUAGES
from voicebot.turns.language_rule import FUSED_LANGUAGES, SMART_TURN_LANGUAGES, turn_rule


@pytest.mark.parametrize(
    ("language", "rule"),
    [("en", "fused"), ("de", "smart-turn"), ("ja", "smart-turn"), ("cs", "silence")],
)
def test_the_rule_is_the_best_whose_models_know_the_language(language: str, rule: str) -> None:
    assert turn_rule(language) == rule


def test_smart_turn_knows_every_language_of_a_conversation() -> None:
    assert len(SMART_TURN_LANGUAGES) == 23
    assert FUSED_LANGUAGES <= SMART_TURN_LANGUAGES
    assert set(LANGUAGES) <= SMART_TURN_LANGUAGES
