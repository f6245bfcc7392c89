from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.engines.context_window import ContextWindow
from voicebot.engines.protocols import Message
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM = Message("system", "ssss")
OPENING = [SYSTEM, Message("user", "eeee"), Message("assistant", "eeee")]


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def talk(turns: int) -> list[Message]:
    said = []
    for turn in range(turns):
        said += [Message("user", f"q{turn:03}"), Message("assistant", f"a{turn:03}")]
    return said


def test_what_fits_stays_as_it_is() -> None:
    window = ContextWindow(3)
    messages = [*OPENING, *talk(3), Message("user", "last")]
    assert window.fit(messages, count, 100) == messages
    assert not window.has_dropped


def test_the_oldest_turns_go_down_to_half_and_the_opening_stays() -> None:
    window = ContextWindow(3)
    messages = [*OPENING, *talk(12), Message("user", "last")]
    shown = window.fit(messages, count, 100)
    assert shown[:3] == OPENING
    assert shown[3].role == "user"
    assert shown[-1].content == "last"
    assert shown[3:] == messages[-len(shown[3:]) :]
    assert count(shown) <= 50 < count(shown) + 8
    assert window.has_dropped


def test_what_was_dropped_stays_so_until_there_is_too_much_again() -> None:
    window = ContextWindow(1)
    said, beginnings = talk(40), []
    for turns in range(1, 40):
        shown = window.fit([SYSTEM, *said[: 2 * turns], Message("user", "last")], count, 100)
        assert count(shown) <= 100
        beginnings.append(shown[1].content)
    assert len(set(beginnings)) < 10
    assert beginnings == sorted(beginnings)


def test_another_conversation_is_shown_whole() -> None:
    window = ContextWindow(1)
    window.fit([SYSTEM, *talk(20), Message("user", "last")], count, 100)
    other = [SYSTEM, Message("user", "hello")]
    assert window.fit(other, count, 100) == other
    assert not window.has_dropped


def test_examples_go_before_the_last_words_and_those_are_cut_at_their_beginning() -> None:
    shown = ContextWindow(3).fit([*OPENING, Message("user", "x" * 40 + "end")], count, 30)
    assert shown[0] == SYSTEM
    assert len(shown) == 2
    assert shown[1].content.endswith("end")
    assert count(shown) <= 30


def test_a_conversation_without_words_of_the_user_is_shown() -> None:
    assert ContextWindow().fit(OPENING, count, 100) == OPENING
    assert count(ContextWindow(1).fit([SYSTEM, *talk(20)], count, 50)) <= 50


@pytest.mark.parametrize("said", [[], [Message("user", "hello")]])
def test_a_system_prompt_that_is_too_long_is_an_error(said: list[Message]) -> None:
    with pytest.raises(EngineError, match="system prompt"):
        ContextWindow(1).fit([Message("system", "s" * 99), *said], count, 50)
