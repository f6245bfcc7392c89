"""Settings become rules and engines in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.config import LlmSettings, Settings, TurnsSettings
from voicebot.conversation_rules import new_history, session_rules, system_prompt
from voicebot.languages import LANGUAGES
from voicebot.turns.waits import FusedWait, PlainWait, SilenceWait, SmartTurnWait, WaitRule

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("language", "turns", "rule"),
    [
        ("en", {}, FusedWait),
        ("de", {}, SmartTurnWait),
        ("es", {}, SmartTurnWait),
        ("fr", {}, SmartTurnWait),
        ("de", {"rule": "fused"}, FusedWait),
        ("en", {"rule": "silence"}, SilenceWait),
    ],
)
def test_the_rule_is_one_that_knows_the_language_unless_it_is_set(
    language: str, turns: dict[str, object], rule: type
) -> None:
    settings = Settings(language=language, turns=TurnsSettings.model_validate(turns))
    assert isinstance(session_rules(settings).endpointer.waiting, rule)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_follows_the_language(language: str) -> None:
    settings = Settings(language=language)
    known = LANGUAGES[language]
    rules = session_rules(settings)
    assert rules.reply.language == rules.interruption.language == language
    assert system_prompt(settings) == known.system_prompt
    system, question, answer, *_ = new_history(settings).messages()
    assert system.content == known.system_prompt
    assert (question.content, answer.content) == known.examples[0]


def test_the_users_own_prompt_stands(tmp_path: Path) -> None:
    own = Settings(language="de", llm=LlmSettings(system_prompt="Sei ein Pirat."))
    assert system_prompt(own) == "Sei ein Pirat."
    nothing = Settings(llm=LlmSettings(system_prompt="", examples=False))
    assert new_history(nothing).messages() == []
    file = tmp_path / "prompt.txt"
    file.write_text("Aus der Datei.\n", encoding="utf-8")
    named = Settings(language="de", llm=LlmSettings(system_prompt_file=file))
    assert system_prompt(named) == "Aus der Datei."


def test_the_language_models_eyes_see_written_words() -> None:
    history = new_history(Settings(language="es"))
    assert history.messages("qué hora es")[-1].content == "¿Qué hora es?"


def test_the_defaults_of_a_session_are_those_of_the_settings() -> None:
    rules = session_rules(Settings())
    assert rules.preroll_ms == 320
    assert rules.endpointer.soft_end_ms == 64
    assert rules.endpointer.barge_in_ms == 64
    assert rules.read_ahead
    assert rules.write_ahead_tokens == 0
    assert rules.reply.drafts
