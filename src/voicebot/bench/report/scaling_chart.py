"""Time to the first clause against the size of the model, both on logarithmic axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from voicebot.bench.report.svg import Scale, canvas, element
from voicebot.bench.report.wording import as_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from voicebot.bench.scaling.answers import ThreadResult

__all__ = ["in_parameters", "scaling_chart"]

_HEIGHT, _TOP, _AXIS_HEIGHT = 260.0, 16.0, 34.0
_POINTS = 60
_BILLION = 1e9


def in_parameters(count: float) -> str:
    """A number of parameters in words: 135M, 1.1B."""
    return f"{count / 1e6:.0f}M" if count < _BILLION else f"{count / _BILLION:.1f}B"


def scaling_chart(results: Sequence[ThreadResult], target_ms: float) -> Markup:
    """Measured medians as dots, laws as lines with their 95 % intervals, the target across.

    Args:
        results: at least one, each a curve.
        target_ms: drawn as a line.
    """
    sizes = sorted({size for result in results for size in result.first_clause_ms})
    low, high = sizes[0] / 1.3, sizes[-1] * 2.5
    across = Scale(math.log10(low), math.log10(high))
    values = [
        value
        for result in results
        for value in (*_medians(result), result.law.law(low), result.law.law(high), target_ms)
    ]
    up = Scale(math.log10(max(min(values) / 1.4, 1e-3)), math.log10(max(values) * 1.2))

    def y(value_ms: float) -> float:
        return _TOP + _HEIGHT * (1.0 - up.fraction(math.log10(max(value_ms, 1e-6))))

    def x(size: float) -> float:
        return 1000.0 * across.fraction(math.log10(size))

    parts: list[Markup] = [*_grid(across, up, y)]
    at = y(target_ms)
    parts.append(element("line", x1="0%", x2="100%", y1=at, y2=at, class_="target"))
    text = f"target {as_ms(target_ms)}"
    parts.append(element("text", text, x="100%", y=at - 5, text_anchor="end", class_="target-name"))
    grid = [low * (high / low) ** (step / _POINTS) for step in range(_POINTS + 1)]
    drawn: list[Markup] = []
    for number, result in enumerate(results):
        style = f"law-{number % 3}"
        ends = [(x(size), *result.law.interval(size)) for size in grid]
        band = [f"{at_x:.1f},{y(upper):.1f}" for at_x, _, upper in ends]
        band += [f"{at_x:.1f},{y(lower):.1f}" for at_x, lower, _ in reversed(ends)]
        drawn.append(element("polygon", points=" ".join(band), class_=f"band {style}"))
        line = " L".join(f"{x(size):.1f},{y(result.law.law(size)):.1f}" for size in grid)
        drawn.append(element("path", d=f"M{line}", class_=f"curve {style}"))
    parts.append(
        element(
            "svg",
            *drawn,
            x="0",
            y="0",
            width="100%",
            height=_TOP + _HEIGHT,
            viewBox=f"0 0 1000 {_TOP + _HEIGHT:g}",
            preserveAspectRatio="none",
        )
    )
    for number, result in enumerate(results):
        for size, median in zip(sorted(result.first_clause_ms), _medians(result), strict=True):
            parts.append(
                element(
                    "circle",
                    cx=across.percent(math.log10(size)),
                    cy=y(median),
                    r=4,
                    class_=f"rung law-{number % 3}",
                )
            )
    return canvas(
        _TOP + _HEIGHT + _AXIS_HEIGHT,
        parts,
        description="Time to the first clause against the number of parameters.",
    )


def _medians(result: ThreadResult) -> list[float]:
    found = []
    for size in sorted(result.first_clause_ms):
        values = sorted(result.first_clause_ms[size])
        middle = len(values) // 2
        found.append(
            values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        )
    return found


def _grid(across: Scale, up: Scale, y: object) -> list[Markup]:
    parts: list[Markup] = []
    bottom = _TOP + _HEIGHT
    for value in _round_values(up):
        at = y(value)  # type: ignore[operator] # a function of this module's caller
        parts.append(element("line", x1="0%", x2="100%", y1=at, y2=at, class_="grid"))
        parts.append(element("text", as_ms(value), x="0%", dx=4, y=at - 3, class_="note"))
    for value in _round_values(across):
        at = across.percent(math.log10(value))
        parts.append(element("line", x1=at, x2=at, y1=_TOP, y2=bottom, class_="grid"))
        parts.append(
            element("text", in_parameters(value), x=at, y=bottom + 15, text_anchor="middle")
        )
    parts.append(element("line", x1="0%", x2="100%", y1=bottom, y2=bottom, class_="baseline"))
    parts.append(element("text", "parameters", x="100%", y=bottom + 30, text_anchor="end"))
    return parts


def _round_values(scale: Scale) -> list[float]:
    """1, 2 and 5 times powers of ten within a scale of logarithms."""
    found = []
    for power in range(math.floor(scale.low), math.ceil(scale.high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**power
            if scale.low < math.log10(value) < scale.high:
                found.append(value)
    return found
