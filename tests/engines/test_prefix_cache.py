from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines.prefix_cache import (
    Gap,
    common_prefix_length,
    dropped_gap,
    repeats_itself,
    reusable_length,
)

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


@given(tokens, tokens, tokens, tokens)
def test_a_gap_makes_the_cache_begin_as_the_prompt_does(
    kept: list[int], dropped: list[int], later: list[int], new: list[int]
) -> None:
    cached, prompt = kept + dropped + later, kept + later + new
    prefix = common_prefix_length(cached, prompt)
    gap = dropped_gap(cached, prompt, prefix)
    if gap is None:
        return
    closed = cached[: gap.begin] + cached[gap.end :]
    assert common_prefix_length(closed, prompt) == prefix + gap.length
    assert prefix + gap.length >= min(len(kept) + len(later), len(prompt))


def test_a_gap_is_found_where_most_is_shared() -> None:
    cached = [1, 1, 5, 6, 7, 8, 5, 6, 9, 9, 9]
    assert dropped_gap(cached, [1, 1, 5, 6, 9, 9, 3], 4) == Gap(4, 8, 2)
    assert dropped_gap(cached, [1, 1, 6, 9, 9, 3], 2) == Gap(2, 7, 3)
    assert dropped_gap(cached, [1, 1, 4], 2) is None
    assert dropped_gap(cached, [1, 1], 2) is None
