"""Settings become rules and engines in one place."""

from __future__ import annotations

import pytest

from voicebot.config import Settings, TurnsSettings
from voicebot.conversation_rules import session_rules
from voicebot.turns.waits import FusedWait, PlainWait, SilenceWait, SmartTurnWait, WaitRule


@pytest.mark.parametrize(
    ("turns", "waiting"),
    [
        ({}, FusedWait(0.5, longest_ms=1300)),
        ({"eagerness": 0.7, "longest_wait_ms": 900}, FusedWait(0.7, longest_ms=900)),
        ({"rule": "smart-turn", "eagerness": 0.2}, SmartTurnWait(0.2, longest_ms=1300)),
        ({"rule": "silence", "eagerness": 0.9}, SilenceWait(0.9, longest_ms=1300)),
        (
            {"rule": "plain", "sure_wait_ms": 150, "incomplete_transcript_probability": 0.02},
            PlainWait(sure_ms=150, unfinished_probability=0.02),
        ),
    ],
)
def test_the_rule_that_ends_turns_is_the_one_that_is_set(
    turns: dict[str, object], waiting: WaitRule
) -> None:
    settings = Settings(turns=TurnsSettings.model_validate(turns))
    assert session_rules(settings).endpointer.waiting == waiting


def test_the_defaults_of_a_session_are_those_of_the_settings() -> None:
    rules = session_rules(Settings())
    assert rules.preroll_ms == 320
    assert rules.endpointer.soft_end_ms == 64
    assert rules.endpointer.barge_in_ms == 64
    assert rules.read_ahead
    assert rules.write_ahead_tokens == 0
    assert rules.reply.drafts
