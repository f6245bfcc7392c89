"""A sweep's points for a terminal: complete without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from voicebot.bench.sweep import Sweep

__all__ = ["sweep_table"]


def sweep_table(sweep: Sweep) -> RenderableType:
    """What ``voicebot bench --sweep`` prints: a row a point, and whether any beats the default."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rule")
    for heading in ("eagerness", "pauses cut", "mean ms", "p50", "p95", "misses"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=9)
    for rule in sweep.rules:
        for point in sweep.points:
            if point.rule != rule:
                continue
            figures = point.result.figures
            rate, latencies = figures.pause_cut_in_rate.value, figures.voice_to_voice_ms
            table.add_row(
                point.rule,
                f"{point.eagerness:g}",
                "-" if rate is None else f"{100 * rate:.1f} %",
                *(
                    "-" if value is None else f"{value:.0f}"
                    for value in (latencies.mean, latencies.p50, latencies.p95)
                ),
                str(figures.missed),
                "default" if point.is_default else "dominates" if point.dominates_default else "",
                style="bold" if point.is_default else None,
            )
        table.add_section()
    return Group(table, Text(sweep.verdict))
