from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines.sampling import GREEDY, Sampling, chosen_token, drawn_share

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.15], np.float32))


def drawn(sampling: Sampling, count: int = 400) -> dict[int, float]:
    """How often each token comes, over evenly spread draws."""
    shares = (np.arange(count) + 0.5) / count
    tokens = [chosen_token(LOGITS, sampling, [], float(share)) for share in shares]
    return {token: tokens.count(token) / count for token in set(tokens)}


def test_without_temperature_the_likeliest_is_taken() -> None:
    assert GREEDY.takes_likeliest
    assert {chosen_token(LOGITS, GREEDY, [], share) for share in (0.0, 0.5, 0.999)} == {1}


def test_at_temperature_one_the_probabilities_are_the_model_s() -> None:
    assert drawn(Sampling(temperature=1.0)) == pytest.approx(
        {0: 0.1, 1: 0.4, 2: 0.05, 3: 0.3, 4: 0.15}, abs=0.006
    )


def test_a_low_temperature_sharpens() -> None:
    weights = np.array([0.1, 0.4, 0.05, 0.3, 0.15]) ** 2
    expected = dict(enumerate(weights / weights.sum()))
    assert drawn(Sampling(temperature=0.5)) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        (Sampling(temperature=1.0, top_k=2), {1, 3}),
        (Sampling(temperature=1.0, top_k=1), {1}),
        (Sampling(temperature=1.0, top_k=99), {0, 1, 2, 3, 4}),
        (Sampling(temperature=1.0, top_p=0.65), {1, 3}),
        (Sampling(temperature=1.0, top_p=0.75), {1, 3, 4}),
        (Sampling(temperature=1.0, top_p=1e-9), {1}),
        (Sampling(temperature=1.0, min_p=0.3), {1, 3, 4}),
        (Sampling(temperature=1.0, min_p=1.0), {1}),
        (Sampling(temperature=1.0, top_k=4, top_p=0.9, min_p=0.3), {1, 3, 4}),
    ],
)
def test_only_the_likelier_ones_are_drawn(sampling: Sampling, left: set[int]) -> None:
    assert set(drawn(sampling)) == left


def test_the_penalty_makes_said_tokens_less_likely() -> None:
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    penalised = Sampling(repetition_penalty=1.5)
    assert not penalised.takes_likeliest
    assert chosen_token(logits, penalised, [0, 0], 0.5) == 1
    assert chosen_token(np.array([-1.0, -1.2], np.float32), penalised, [0], 0.5) == 1
    assert logits.tolist() == pytest.approx([2.0, 1.9, -1.0])


@given(st.integers(0, 2**31), st.lists(st.integers(0, 10**6), max_size=9), st.integers(0, 500))
def test_a_draw_depends_on_seed_prompt_and_place_only(
    seed: int, prompt: list[int], index: int
) -> None:
    share = drawn_share(seed, prompt, index)
    assert 0 <= share < 1
    assert share == drawn_share(seed, tuple(prompt), index)
    others = {drawn_share(seed + 1, prompt, index), drawn_share(seed, [*prompt, 1], index)}
    assert share not in others | {drawn_share(seed, prompt, index + 1)}


def test_draws_are_even() -> None:
    shares = np.array([drawn_share(0, [1, 2, 3], index) for index in range(2000)])
    counts, _ = np.histogram(shares, bins=4, range=(0, 1))
    assert counts.min() > 430
