from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.thinking import ThinkingFilter


def said(pieces: list[str]) -> str:
    thinking = ThinkingFilter()
    return "".join(thinking.feed(piece) for piece in pieces) + thinking.flush()


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Paris.", "Paris."),
        ("<think>Hm.</think>\n\nParis.", "Paris."),
        ("Well. <think>Hm.</think>Paris.", "Well. Paris."),
        ("<think>one</think><think>two</think>Paris.", "Paris."),
        ("<think>never ends", ""),
        ("1 < 2 and <b", "1 < 2 and <b"),
    ],
)
def test_only_what_is_not_thought_is_said(text: str, heard: str) -> None:
    assert said([text]) == heard
    assert said(list(text)) == heard


@given(st.text("<think>/ a\n", max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_where_it_is_cut_does_not_matter(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert said(pieces) == said([text])
