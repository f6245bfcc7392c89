"""The chart of a sweep: latency against the share of pauses that were cut into."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.report.svg import Scale, canvas, element, label, round_step, rule
from voicebot.bench.report.wording import as_ms, as_number, as_percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

    from voicebot.bench.record import Distribution
    from voicebot.bench.statistics import Interval
    from voicebot.bench.sweep import Sweep, SweepPoint

__all__ = ["curve_class", "mean_chart", "p95_chart"]

_TOP, _HEIGHT, _AXIS_HEIGHT = 26.0, 300.0, 36.0
_ROOM = 1.06
"""Room beyond the last point."""
_LEAST_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """A point's place: percent of pauses across, ms upwards, with its intervals."""

    point: SweepPoint
    percent: float
    ms: float
    percent_ci95: Interval | None
    ms_ci95: Interval | None


def curve_class(rule_name: str) -> str:
    """The style of a rule's curve; rules that the style sheet does not know look alike."""
    return {
        "fused": "curve-fused",
        "smart-turn": "curve-smart-turn",
        "silence": "curve-silence",
    }.get(rule_name, "curve-other")


def mean_chart(sweep: Sweep) -> Markup:
    """Mean latency against the share of pauses cut into."""
    return _chart(sweep, "mean", lambda each: (each.mean, each.mean_ci95))


def p95_chart(sweep: Sweep) -> Markup:
    """The 95th percentile of the latency against the share of pauses cut into."""
    return _chart(sweep, "p95", lambda each: (each.p95, each.p95_ci95))


def _chart(
    sweep: Sweep,
    what: str,
    figure: Callable[[Distribution], tuple[float | None, Interval | None]],
) -> Markup:
    placed = [
        _Placed(
            point,
            100.0 * rate.value,
            ms,
            (100.0 * rate.ci95[0], 100.0 * rate.ci95[1]) if rate.ci95 else None,
            ms_ci95,
        )
        for point in sweep.points
        for rate in [point.result.figures.pause_cut_in_rate]
        for ms, ms_ci95 in [figure(point.result.figures.voice_to_voice_ms)]
        if rate.value is not None and ms is not None
    ]
    across = Scale(0.0, max([_LEAST_PERCENT, *(each.percent for each in placed)]) * _ROOM)
    upwards = _upwards([each.ms for each in placed])
    parts = _grid(across, upwards, what)
    for rule_name in sweep.rules:
        parts.append(_curve(rule_name, placed, across, upwards))
        parts += _marks(rule_name, placed, across, upwards)
    return canvas(
        _TOP + _HEIGHT + _AXIS_HEIGHT,
        parts,
        description=f"{what} latency against the share of pauses cut into, a curve for each of "
        f"{', '.join(sweep.rules)}; the table below has every point.",
        class_="sweep",
    )


def _upwards(values: Sequence[float]) -> Scale:
    low, high = min([0.0, *values]), max([500.0, *values])
    step = round_step((high - low) / 6)
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step)


def _y(upwards: Scale, ms: float) -> float:
    return _TOP + _HEIGHT * (1.0 - upwards.fraction(ms))


def _grid(across: Scale, upwards: Scale, what: str) -> list[Markup]:
    bottom = _TOP + _HEIGHT
    parts = []
    for ms in upwards.ticks(6):
        y = _y(upwards, ms)
        parts.append(element("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(element("text", as_number(ms), x="0%", dx=4, y=y - 4, class_="tick-name"))
    parts.append(element("line", x1="0%", x2="100%", y1=bottom, y2=bottom, class_="baseline"))
    for percent in across.ticks(8):
        parts.append(rule(across, percent, top=bottom, bottom=bottom + 4, class_="tick"))
        anchor = "start" if percent == across.low else "middle"
        parts.append(
            element(
                "text",
                as_number(percent, 0 if percent == round(percent) else 1),
                x=across.percent(percent),
                y=bottom + 16,
                text_anchor=anchor,
                class_="tick-name",
            )
        )
    title = f"{what} latency, ms after the true end"
    parts.append(element("text", title, x="0%", dx=4, y=10, class_="note"))
    parts.append(
        element(
            "text",
            "% of pauses cut into",
            x="100%",
            y=bottom + 32,
            text_anchor="end",
            class_="tick-name",
        )
    )
    return parts


def _curve(rule_name: str, placed: Sequence[_Placed], across: Scale, upwards: Scale) -> Markup:
    path = "L".join(
        f"{1000 * across.fraction(each.percent):.1f} {1000 * (1 - upwards.fraction(each.ms)):.1f}"
        for each in placed
        if each.point.rule == rule_name
    )
    return element(
        "svg",
        element("path", d=f"M{path}" if path else "", class_=f"curve {curve_class(rule_name)}"),
        x="0",
        y=_TOP,
        width="100%",
        height=_HEIGHT,
        viewBox="0 0 1000 1000",
        preserveAspectRatio="none",
    )


def _marks(
    rule_name: str, placed: Sequence[_Placed], across: Scale, upwards: Scale
) -> list[Markup]:
    parts = []
    class_ = curve_class(rule_name)
    own = [each for each in placed if each.point.rule == rule_name]
    for each in own:
        y = _y(upwards, each.ms)
        x = across.percent(each.percent)
        if each.percent_ci95 is not None:
            low, high = (across.percent(end) for end in each.percent_ci95)
            parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_=f"ci {class_}"))
        if each.ms_ci95 is not None:
            top, bottom = _y(upwards, each.ms_ci95[1]), _y(upwards, each.ms_ci95[0])
            parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_=f"ci {class_}"))
    for each in own:
        y = _y(upwards, each.ms)
        rate = each.point.result.figures.pause_cut_in_rate.value
        title = (
            f"{rule_name} at {each.point.eagerness:g}: {as_ms(each.ms)}, "
            f"{as_percent(rate)} of pauses cut into"
        )
        parts.append(
            element(
                "circle",
                element("title", title),
                cx=across.percent(each.percent),
                cy=y,
                r=7 if each.point.is_default else 4,
                class_=f"sweep-point {class_}" + (" is-default" if each.point.is_default else ""),
            )
        )
        if each.point.is_default:
            right = across.fraction(each.percent) < 0.75  # noqa: PLR2004 - room for the words
            anchor = "start" if right else "end"
            parts.append(
                label(
                    across,
                    each.percent,
                    f"\N{EN SPACE}default: {as_ms(each.ms)}, {as_percent(rate)}\N{EN SPACE}",
                    y=y - 8,
                    anchor=anchor,
                    class_="note strong",
                )
            )
    return parts
