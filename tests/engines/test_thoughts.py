from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines.thoughts import ThoughtFilter, close_open_thought, shown_in_markers


def spoken(*pieces: str) -> str:
    thoughts = ThoughtFilter()
    return "".join([*(thoughts.feed(piece) for piece in pieces), thoughts.held_text()])


CASES = [
    ("No thought at all.", "No thought at all."),
    ("<think>They greet me.</think>\n\nHello!", "Hello!"),
    ("<think>\n\n</think>\n\nHello!", "Hello!"),
    ("Well, <think>hm</think>yes.", "Well, yes."),
    ("<think>a<think>b</think>c</think>d", "d"),
    ("<thinking>a <reasoning>b</reasoning> c</thinking>d", "d"),
    ("<think>it never ends", ""),
    ("</think>Hello!", "Hello!"),
    ("[THINK]plan[/THINK]Hello!", "Hello!"),
    ("<reasoning>plan</reasoning>Hello!", "Hello!"),
    ("<|channel|>analysis<|message|>plan<|start|>assistant<|channel|>final<|message|>Hi!", "Hi!"),
    ("<|channel|>final<|message|>Hi!", "Hi!"),
    ("two < three, [see] below <", "two < three, [see] below <"),
    ("a <thin line", "a <thin line"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_thoughts_are_not_spoken(text: str, expected: str) -> None:
    assert spoken(text) == expected


@given(st.sampled_from(CASES), st.data())
def test_it_makes_no_difference_how_the_text_is_cut(
    case: tuple[str, str], data: st.DataObject
) -> None:
    text, expected = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    assert spoken(*(text[a:b] for a, b in pairwise(bounds))) == expected


def test_text_is_given_as_soon_as_it_is_certain() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.feed("Hello") == "Hello"
    assert thoughts.feed(" <thi") == " "
    assert thoughts.feed("s") == "<this"
    assert thoughts.feed("<think>") == ""
    assert thoughts.is_hidden
    assert thoughts.feed("a plan</think> you") == " you"
    assert not thoughts.is_hidden


def test_a_thought_that_the_template_begins_is_ended() -> None:
    assert close_open_thought("assistant\n<think>\n") == "assistant\n<think>\n\n</think>\n\n"
    assert close_open_thought("assistant\n") == "assistant\n"
    assert close_open_thought("<think>\n\n</think>\n\n") == "<think>\n\n</think>\n\n"


def test_special_tokens_of_markers_are_known() -> None:
    assert shown_in_markers("<|channel|>")
    assert shown_in_markers("[THINK]")
    assert not shown_in_markers("<|im_end|>")
