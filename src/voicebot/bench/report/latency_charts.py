"""Charts of many turns: how latencies are spread, by kind, and what they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.record import BREAKDOWN_STAGES, TurnRecord
from voicebot.bench.report.svg import Scale, canvas, element, label, round_step, rule, span
from voicebot.bench.report.wording import as_count, as_ms, as_number, as_percent
from voicebot.bench.statistics import percentile
from voicebot.bench.summary import TARGET_MS, share_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from voicebot.timeline import Breakdown

__all__ = [
    "breakdown_cascade",
    "cumulative_chart",
    "kind_strip",
    "latency_scale",
    "spread_chart",
    "strip_axis",
]


@dataclass(frozen=True, slots=True)
class _Reference:
    at_ms: float
    name: str
    row: int
    anchor: str
    class_: str


_REFERENCES = (
    # Names stand to the right of their lines, where there is room on a phone, too.
    _Reference(200, "people 200", 0, "start", "reference"),
    _Reference(232, "GPT-4o, fastest 232", 1, "start", "reference"),
    _Reference(TARGET_MS, f"target {TARGET_MS:.0f}", 2, "start", "target"),
    _Reference(320, "GPT-4o, mean 320", 3, "start", "reference"),
)
"""Gaps between people's turns: Stivers et al. 2009, "Universals and cultural variation in
turn-taking in conversation", PNAS 106(26), mean about 200 ms. GPT-4o: OpenAI, "Hello GPT-4o",
May 2024, as its makers measured it."""

_ABOUT_BINS = 45
_SHORTEST_AXIS_MS = 500.0
_LEGEND_HEIGHT, _SPREAD_HEIGHT, _RUG_HEIGHT, _AXIS_HEIGHT = 72.0, 150.0, 16.0, 34.0
_CURVE_HEIGHT = 120.0


def latency_scale(turns: Sequence[TurnRecord]) -> Scale:
    """An axis in ms on which the bulk of ``turns`` and every reference can be seen.

    One very late reply would press all others flat. So the axis may end before the latest
    twentieth of the turns, or the latest one; ``spread_chart`` then says how many lie beyond.
    """
    latencies = sorted(_latencies(turns))
    low = min([*latencies, 0.0])
    high = max([*latencies, 0.0])
    bulk = latencies[: -max(1, len(latencies) // 20)]
    if bulk and high > 1.5 * bulk[-1]:
        high = 1.35 * bulk[-1]
    high = max(high, _SHORTEST_AXIS_MS)
    step = round_step((high - low) / 8)
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step)


def spread_chart(turns: Sequence[TurnRecord], scale: Scale) -> Markup:
    """How many turns were answered after how long; each turn is a tick below."""
    width_ms = round_step((scale.high - scale.low) / _ABOUT_BINS)
    bins: dict[int, list[TurnRecord]] = {}
    beyond = []
    for turn in turns:
        if turn.voice_to_voice_ms is None:
            continue
        if turn.voice_to_voice_ms > scale.high:
            beyond.append(turn.voice_to_voice_ms)
        else:
            bins.setdefault(math.floor(turn.voice_to_voice_ms / width_ms), []).append(turn)
    tallest = max((len(members) for members in bins.values()), default=1)
    bottom = _LEGEND_HEIGHT + _SPREAD_HEIGHT
    parts = _references(scale, bottom + _RUG_HEIGHT)
    for index, members in sorted(bins.items()):
        parts += _bar(scale, index * width_ms, width_ms, members, tallest)
    parts.append(rule(scale, 0, top=_LEGEND_HEIGHT, bottom=bottom + _RUG_HEIGHT, class_="zero"))
    parts.append(element("line", x1="0%", x2="100%", y1=bottom, y2=bottom, class_="baseline"))
    parts += [
        rule(scale, value, top=bottom + 4, bottom=bottom + 13, class_="rug")
        for value in _latencies(turns)
        if value <= scale.high
    ]
    if bins:
        text = f"highest bar: {as_count(tallest, 'turn', 'turns')}"
        y = _LEGEND_HEIGHT + 10
        parts.append(element("text", text, x="0%", dx=5, y=y, class_="note"))
    if beyond:
        text = f"{as_number(len(beyond))} beyond, up to {as_ms(max(beyond))} \N{RIGHTWARDS ARROW}"
        parts.append(
            element(
                "text",
                text,
                x="100%",
                y=_LEGEND_HEIGHT + 10,
                text_anchor="end",
                class_="note strong",
            )
        )
    parts += _axis(scale, bottom + _RUG_HEIGHT, "ms after the true end")
    return canvas(
        bottom + _RUG_HEIGHT + _AXIS_HEIGHT,
        parts,
        description=(
            f"Histogram of voice-to-voice latency of {as_count(len(turns), 'turn', 'turns')}; "
            f"half of those answered came within {as_ms(percentile(_latencies(turns), 50))}."
        ),
    )


def cumulative_chart(turns: Sequence[TurnRecord], scale: Scale) -> Markup:
    """The share of all turns answered by then; misses keep it below 100 %."""
    top, bottom = 8.0, 8.0 + _CURVE_HEIGHT
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * _CURVE_HEIGHT
        parts.append(
            element(
                "line", x1="0%", x2="100%", y1=y, y2=y, class_="baseline" if share == 0 else "grid"
            )
        )
        if share:
            parts.append(element("text", as_percent(share), x="0%", dx=5, y=y + 13, class_="note"))
    parts += [
        rule(scale, each.at_ms, top=top, bottom=bottom, class_=each.class_) for each in _REFERENCES
    ]
    parts.append(rule(scale, 0, top=top, bottom=bottom, class_="zero"))
    parts.append(
        element(
            "svg",
            element("path", d=_steps(turns, scale), class_="curve"),
            x="0",
            y=top,
            width="100%",
            height=_CURVE_HEIGHT,
            viewBox="0 0 1000 100",
            preserveAspectRatio="none",
        )
    )
    within = share_within(turns, TARGET_MS)
    if within is not None:
        parts.append(
            element(
                "circle",
                cx=scale.percent(TARGET_MS),
                cy=bottom - within * _CURVE_HEIGHT,
                r=4,
                class_="point",
            )
        )
        text = f"{as_percent(within)} within {TARGET_MS:.0f} ms"
        y = min(bottom - 6, bottom - within * _CURVE_HEIGHT + 18)
        parts.append(label(scale, TARGET_MS + 6, text, y=y, anchor="start", class_="note strong"))
    parts += _axis(scale, bottom, "ms after the true end")
    return canvas(
        bottom + _AXIS_HEIGHT,
        parts,
        description=f"Share of turns answered by then: {as_percent(within)} within the target.",
    )


def kind_strip(turns: Sequence[TurnRecord], scale: Scale) -> Markup:
    """One kind's turns as dots on the common axis, with its median and 95th percentile."""
    latencies = _latencies(turns)
    parts = [
        rule(scale, 0, top=2, bottom=26, class_="zero"),
        rule(scale, TARGET_MS, top=2, bottom=26, class_="target"),
    ]
    parts += [
        element("circle", cx=scale.percent(value), cy=14, r=3, class_="dot") for value in latencies
    ]
    for percent, class_ in ((50, "median"), (95, "tail")):
        value = percentile(latencies, percent)
        if value is not None:
            parts.append(rule(scale, value, top=4, bottom=24, class_=class_))
    return canvas(
        28,
        parts,
        description=(
            f"median {as_ms(percentile(latencies, 50))}, p95 {as_ms(percentile(latencies, 95))}"
        ),
        class_="strip",
    )


def strip_axis(scale: Scale) -> Markup:
    """The axis under strips and cascades."""
    return canvas(_AXIS_HEIGHT, _axis(scale, 0, "ms"), description="axis in ms")


def breakdown_cascade(mean: Breakdown) -> dict[str, Markup]:
    """For each stage a bar from where the stages before it end to where it ends.

    Together they go from 0 to the mean latency, whatever their signs.
    """
    reached = 0.0
    edges = [reached]
    for stage in BREAKDOWN_STAGES:
        reached += getattr(mean, stage)
        edges.append(reached)
    low, high = min(edges), max(edges)
    scale = Scale(low, high if high > low else low + 1.0)
    bars = {}
    for stage, start, end in zip(BREAKDOWN_STAGES, edges, edges[1:], strict=False):
        bars[stage] = canvas(
            20,
            [
                rule(scale, 0, top=0, bottom=20, class_="zero"),
                span(scale, start, end, top=3, height=14, class_=f"stage-{stage}"),
            ],
            description=f"from {as_ms(start)} to {as_ms(end)}",
        )
    return bars


def _latencies(turns: Sequence[TurnRecord]) -> list[float]:
    return [turn.voice_to_voice_ms for turn in turns if turn.voice_to_voice_ms is not None]


def _references(scale: Scale, bottom: float) -> list[Markup]:
    lines, names = [], []
    for each in _REFERENCES:
        y = 12 + 15 * each.row
        class_ = f"{each.class_}-name"
        lines.append(rule(scale, each.at_ms, top=y - 9, bottom=bottom, class_=each.class_))
        names.append(label(scale, each.at_ms, each.name, y=y, anchor=each.anchor, class_=class_))
    return [*lines, *names]


def _bar(
    scale: Scale, start_ms: float, width_ms: float, members: Sequence[TurnRecord], tallest: int
) -> list[Markup]:
    cut_ins = sum(turn.cut_in for turn in members)
    inset = 0.06 * width_ms
    bottom = _LEGEND_HEIGHT + _SPREAD_HEIGHT
    unit = (_SPREAD_HEIGHT - 16) / tallest
    title = (
        f"{as_number(start_ms)} to {as_ms(start_ms + width_ms)}: "
        f"{as_count(len(members), 'turn', 'turns')}"
    )
    if cut_ins:
        title += f", {as_count(cut_ins, 'cut-in', 'cut-ins')}"
    parts = []
    for count, below, class_ in (
        (len(members) - cut_ins, 0, "bar"),
        (cut_ins, len(members) - cut_ins, "bar cut-in"),
    ):
        if count:
            parts.append(
                span(
                    scale,
                    start_ms + inset,
                    start_ms + width_ms - inset,
                    top=bottom - (below + count) * unit,
                    height=count * unit,
                    class_=class_,
                    title=title,
                )
            )
    return parts


def _steps(turns: Sequence[TurnRecord], scale: Scale) -> str:
    path = ["M0 100"]
    for rank, value in enumerate(sorted(_latencies(turns)), start=1):
        if value > scale.high:
            break
        path.append(f"H{1000 * scale.fraction(value):.1f}V{100 - 100 * rank / len(turns):.1f}")
    return "".join([*path, "H1000"])


def _axis(scale: Scale, y: float, unit: str) -> list[Markup]:
    ticks = scale.ticks(5)
    parts = []
    for value in ticks:
        parts.append(rule(scale, value, top=y, bottom=y + 4, class_="tick"))
        fraction = scale.fraction(value)
        anchor = "middle"
        if fraction < 0.04:  # noqa: PLR2004 - closer to the edge a centred label would leave it
            anchor = "start"
        elif fraction > 0.96:  # noqa: PLR2004 - likewise
            anchor = "end"
        parts.append(
            element(
                "text",
                as_number(value),
                x=scale.percent(value),
                y=y + 16,
                text_anchor=anchor,
                class_="tick-name",
            )
        )
    parts.append(element("text", unit, x="100%", y=y + 31, text_anchor="end", class_="tick-name"))
    return parts
