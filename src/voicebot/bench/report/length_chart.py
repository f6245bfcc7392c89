"""Latency against how long the caller spoke."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voicebot.bench.report.svg import Scale, canvas, element, label, round_step
from voicebot.bench.report.wording import as_ms, as_number
from voicebot.bench.summary import TARGET_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from voicebot.bench.record import TurnRecord

__all__ = ["length_chart", "trend_in_words"]

_HEIGHT, _TOP, _AXIS_HEIGHT = 170.0, 10.0, 34.0
_FEWEST = 5
"""With fewer turns, a cloud of dots has no shape."""
_FEWEST_FOR_TREND = 20
_PERMUTATIONS = 2000
_CHANCE = 0.05


def length_chart(turns: Sequence[TurnRecord], latencies: Scale) -> Markup | None:
    """Dots, with the target as a line; None with too few turns.

    Args:
        turns: those of a run.
        latencies: the axis in ms; later turns stand at its end.
    """
    points = _points(turns)
    if len(points) < _FEWEST:
        return None
    longest_s = max(length_s for length_s, _ in points)
    step_s = round_step(longest_s / 8)
    across = Scale(0.0, math.ceil(longest_s / step_s) * step_s)

    def y(value_ms: float) -> float:
        return _TOP + _HEIGHT * (1.0 - latencies.fraction(value_ms))

    parts: list[Markup] = []
    for tick in latencies.ticks(4):
        class_ = "baseline" if tick == 0 else "grid"
        parts.append(element("line", x1="0%", x2="100%", y1=y(tick), y2=y(tick), class_=class_))
        parts.append(element("text", as_ms(tick), x="0%", dx=5, y=y(tick) - 3, class_="note"))
    at = y(TARGET_MS)
    parts.append(element("line", x1="0%", x2="100%", y1=at, y2=at, class_="target"))
    parts += [
        element("circle", cx=across.percent(length_s), cy=y(value_ms), r=3, class_="dot")
        for length_s, value_ms in points
    ]
    bottom = _TOP + _HEIGHT
    for tick in across.ticks(8):
        anchor = "start" if tick == 0 else "end" if tick == across.high else "middle"
        text = as_number(tick, 0 if step_s >= 1 else 1)
        parts.append(label(across, tick, text, y=bottom + 15, anchor=anchor, class_="tick-name"))
    parts.append(
        element("text", "s of the caller's turn", x="100%", y=bottom + 30, text_anchor="end")
    )
    return canvas(
        bottom + _AXIS_HEIGHT,
        parts,
        description=f"Latency against the length of {as_number(len(points))} turns.",
    )


def trend_in_words(turns: Sequence[TurnRecord]) -> str:
    """Whether longer turns are answered later, if the turns allow to say so; else empty.

    By the rank correlation (Spearman) and how often chance does as well: 2000 seeded permutations.
    """
    points = _points(turns)
    if len(points) < _FEWEST_FOR_TREND:
        return ""
    lengths, latencies = (_ranks(np.array(column)) for column in zip(*points, strict=True))
    found = _correlation(lengths, latencies)
    rng = np.random.default_rng(0)
    by_chance = [
        abs(_correlation(lengths, rng.permutation(latencies))) for _ in range(_PERMUTATIONS)
    ]
    if float(np.mean(np.array(by_chance) >= abs(found))) > _CHANCE:
        return "Whether a turn was long or short made no difference that could be told from chance."
    side = "later" if found > 0 else "sooner"
    return f"Longer turns were answered {side} (rank correlation {as_number(found, 2)})."


def _points(turns: Sequence[TurnRecord]) -> list[tuple[float, float]]:
    return [
        (turn.true_end_s - turn.speech[0][0], turn.voice_to_voice_ms)
        for turn in turns
        if turn.speech and turn.voice_to_voice_ms is not None
    ]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return np.asarray((last - (counts - 1) / 2)[inverse])


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    spread = float(np.std(one) * np.std(two))
    return float(np.mean((one - one.mean()) * (two - two.mean()))) / spread if spread else 0.0
