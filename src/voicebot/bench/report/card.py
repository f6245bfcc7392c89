"""A run as one SVG picture for a README: the figures and how latencies are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from voicebot.bench.report.latency_charts import latency_scale, spread_chart
from voicebot.bench.report.svg import element
from voicebot.bench.report.wording import as_count, as_ms, as_percent
from voicebot.bench.summary import TARGET_MS, share_within

if TYPE_CHECKING:
    from voicebot.bench.record import Run

__all__ = ["card_of"]

_WIDTH, _HEIGHT, _MARGIN = 880, 430, 32
_CHART_TOP = 138
_STYLE = """
svg { font-family: ui-sans-serif, system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
.paper { fill: #fcfbf8; } .ink, .figure { fill: #1c2430; } .soft, text { fill: #5a6372; }
.figure { font-size: 40px; letter-spacing: -0.02em; } .first { fill: #0b6aa2; }
text { font-size: 13px; } .strong { fill: #1c2430; font-weight: 600; }
.target-name { fill: #0b6aa2; font-weight: 600; } line { stroke-width: 1; }
.baseline, .tick, .zero { stroke: #5a6372; } .grid { stroke: #ebe8e0; }
.reference { stroke: #5a6372; stroke-dasharray: 2 3; } .target { stroke: #0b6aa2; stroke-width: 2; }
.rug { stroke: #1c2430; stroke-opacity: .35; } .bar { fill: #8fb4cc; } .cut-in { fill: #b93d0a; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #14171b; } .ink, .figure, .strong { fill: #e9e6df; } .soft, text { fill: #a0a7b2; }
  .first, .target-name { fill: #6cbcec; } .target { stroke: #6cbcec; } .bar { fill: #3f6f8f; }
  .grid { stroke: #262b32; } .rug { stroke: #e9e6df; } .cut-in { fill: #ff8e5c; }
}
"""


def card_of(run: Run) -> str:
    """The picture, light or dark as whoever looks at it prefers."""
    latencies = run.summary.voice_to_voice_ms
    figures = (
        ("median", latencies.p50, latencies.p50_ci95),
        ("mean", latencies.mean, latencies.mean_ci95),
        ("p95", latencies.p95, latencies.p95_ci95),
    )
    parts: list[Markup] = [
        element("style", Markup(_STYLE)),  # noqa: S704 - a constant of this module
        element("rect", width=_WIDTH, height=_HEIGHT, rx=10, class_="paper"),
    ]
    for column, (name, value, interval) in enumerate(figures):
        x = _MARGIN + column * 180
        parts.append(element("text", f"voice to voice, {name}", x=x, y=42))
        style = "figure first" if column == 0 else "figure"
        parts.append(element("text", as_ms(value), x=x, y=84, class_=style))
        if interval is not None:
            text = f"95 %: {interval[0]:.0f} to {interval[1]:.0f}"
            parts.append(element("text", text, x=x, y=106))
    notes = (
        f"{as_percent(share_within(run.turns, TARGET_MS))} within {TARGET_MS:.0f} ms",
        (
            f"{as_count(run.summary.turns, 'turn', 'turns')}, "
            f"{as_count(run.summary.missed, 'miss', 'misses')}"
        ),
        f"{run.summary.pauses_cut_into} of {as_count(run.summary.pauses, 'pause', 'pauses')} cut",
    )
    for row, note in enumerate(notes):
        parts.append(element("text", note, x=_WIDTH - _MARGIN, y=54 + 22 * row, text_anchor="end"))
    chart = spread_chart(run.turns, latency_scale(run.turns))
    parts.append(
        element("svg", chart, x=_MARGIN, y=_CHART_TOP, width=_WIDTH - 2 * _MARGIN, height=280)
    )
    made = f"{run.meta.host.cpu}, {as_count(run.meta.host.cores, 'core', 'cores')}"
    label = f"{made}; profile {run.meta.profile}; {run.meta.started_at[:10]}"
    parts.append(element("text", label, x=_MARGIN, y=_HEIGHT - 14, class_="soft"))
    return str(
        element(
            "svg",
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            width=_WIDTH,
            height=_HEIGHT,
            role="img",
            aria_label=f"Voice to voice: median {as_ms(latencies.p50)}, p95 {as_ms(latencies.p95)}",
        )
    )
