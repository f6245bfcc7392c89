"""Reading variants and planning who plays when."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.bench.variants import PLAIN, Variant, engine_settings, parse_variants, play_schedule
from voicebot.config import GuardSettings, KnowledgeSettings, ReplySettings, Settings
from voicebot.errors import ConfigError


def test_the_plain_configuration_comes_first() -> None:
    assert parse_variants([]) == [PLAIN]
    assert parse_variants(["turns.sure_wait_ms=250,turns.onset_ms=50"]) == [
        PLAIN,
        Variant(
            "turns.sure_wait_ms=250+turns.onset_ms=50",
            ("turns.sure_wait_ms=250", "turns.onset_ms=50"),
        ),
    ]


@pytest.mark.parametrize(
    ("text", "name", "assignments"),
    [
        ("slow:turns.onset_ms=9", "slow", ("turns.onset_ms=9",)),
        ("two words:a.b=1", "two-words", ("a.b=1",)),
        (
            "llm.system_prompt=Be brief, be kind: go",
            None,
            ("llm.system_prompt=Be brief, be kind: go",),
        ),
        ("profile=embedded", "profile=embedded", ("profile=embedded",)),
        ("../../x:a.b=1", "x", ("a.b=1",)),
    ],
)
def test_names_and_commas(text: str, name: str | None, assignments: tuple[str, ...]) -> None:
    variant = parse_variants([text])[1]
    assert variant.assignments == assignments
    if name is not None:
        assert variant.name == name
    assert "/" not in variant.name


@pytest.mark.parametrize(
    "texts",
    [["turns"], ["bench.seed=1"], ["models.offline=true"], ["a.b=1", "a.b=1"], ["plain:a.b=1"]],
)
def test_what_cannot_be_a_variant_is_refused(texts: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_variants(texts)


def test_only_settings_of_engines_need_engines_of_their_own() -> None:
    plain = Settings()
    talk = Settings.model_validate(
        {"turns": {"onset_ms": 80}, "reply": {"clause_max_characters": 99}}
    )
    slow = Settings.model_validate({"llm": {"precision": "bfloat16"}})
    assert engine_settings(plain) == engine_settings(talk)
    assert engine_settings(plain) != engine_settings(slow)


def test_what_stands_around_the_language_model_is_not_shared() -> None:
    plain = Settings()
    guarded = Settings(guard=GuardSettings(enabled=True))
    assert engine_settings(plain) != engine_settings(guarded)
    assert engine_settings(plain) != engine_settings(
        Settings(knowledge=KnowledgeSettings(folder=Path("museum")))
    )
    # The guard cuts clauses as the reply does.
    later = ReplySettings(early_first_clause=False)
    assert engine_settings(plain) == engine_settings(Settings(reply=later))
    assert engine_settings(guarded) != engine_settings(guarded.model_copy(update={"reply": later}))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_everybody_plays_everything_once_in_fair_rounds(
    callers: int, variants: int, seed: int
) -> None:
    schedule = play_schedule(callers, variants, seed)
    assert len(set(schedule)) == len(schedule) == callers * variants
    for start in range(0, len(schedule), variants):
        assert {play.variant for play in schedule[start : start + variants]} == set(range(variants))
    if callers > 2 * variants and variants > 1:
        assert all(one.caller != other.caller for one, other in pairwise(schedule))
    if variants == 1:
        assert [play.caller for play in schedule] == list(range(callers))


def test_each_variant_is_about_as_often_first() -> None:
    schedule = play_schedule(60, 4, 0)
    first = Counter(play.variant for play in schedule[::4])
    assert min(first.values()) >= 10
    assert play_schedule(60, 4, 1) != schedule
