from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines.prefix_cache import common_prefix_length, repeats_itself, reusable_length

tokens = st.lists(st.integers(0, 3), max_size=30)


@given(tokens, tokens)
def test_the_common_prefix_is_common_and_the_longest(first: list[int], second: list[int]) -> None:
    length = common_prefix_length(first, second)
    assert first[:length] == second[:length]
    assert first[: length + 1] != second[: length + 1] or length == len(first) == len(second)


@given(tokens, tokens, st.integers(0, 30))
def test_a_needed_token_is_never_reused(cached: list[int], prompt: list[int], needed: int) -> None:
    length = reusable_length(cached, prompt, needed)
    assert length == min(needed, reusable_length(cached, prompt))


@pytest.mark.parametrize(
    ("token_ids", "looping"),
    [
        ([], False),
        ([1, 2, 3], False),
        ([1, 2, 3, 1, 2, 3], True),
        ([1, 2, 3, 9, 1, 2, 3], True),
        ([1, 2, 3, 9, 1, 2, 4], False),
        ([5, 5, 5], False),
        ([5, 5, 5, 5], True),
    ],
)
def test_a_run_that_comes_again_is_a_loop(token_ids: list[int], looping: bool) -> None:
    assert repeats_itself(token_ids, run=3) is looping
