from __future__ import annotations

import random
from typing import TYPE_CHECKING

from factories import a_turn

from voicebot.bench.report.latency_charts import latency_scale
from voicebot.bench.report.length_chart import length_chart, trend_in_words

if TYPE_CHECKING:
    from voicebot.bench.record import TurnRecord


def turn_of(length_s: float, latency_ms: float) -> TurnRecord:
    return a_turn(latency_ms, speech=((0.2, 0.2 + length_s),), true_end_s=0.2 + length_s)


def test_every_turn_with_a_latency_is_a_dot() -> None:
    turns = [turn_of(1.0 + index / 10, 200.0 + index) for index in range(12)] + [a_turn(None)]
    drawn = length_chart(turns, latency_scale(turns))
    assert drawn is not None
    assert str(drawn).count("<circle") == 12
    assert length_chart(turns[:3], latency_scale(turns)) is None


def test_a_trend_is_said_only_if_it_is_more_than_chance() -> None:
    chance = random.Random(1)  # noqa: S311 - made-up data
    lengths = [1.0 + 0.1 * index for index in range(40)]
    grows = [turn_of(length, 100 + 50 * length + chance.uniform(-20, 20)) for length in lengths]
    assert "answered later" in trend_in_words(grows)
    falls = [turn_of(length, 500 - 50 * length) for length in lengths]
    assert "answered sooner" in trend_in_words(falls)
    random_ones = [turn_of(length, chance.uniform(100, 500)) for length in lengths]
    assert "no difference" in trend_in_words(random_ones)
    same = [turn_of(1.0, 200.0)] * 30
    assert "no difference" in trend_in_words(same)
    assert trend_in_words(grows[:10]) == ""
