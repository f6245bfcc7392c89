"""A comparison's figures for a terminal: complete without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from voicebot.bench.comparison import Comparison, Estimate, VariantFigures
    from voicebot.bench.statistics import Interval

__all__ = ["comparison_table"]

_NONE = "-"


def comparison_table(comparison: Comparison) -> RenderableType:
    """What ``voicebot bench`` prints of variants that were played side by side."""
    parts: list[RenderableType] = [_figures(comparison)]
    if len(comparison.variants) > 1:
        parts.append(_differences(comparison))
    if comparison.latency_kinds:
        parts.append(Text(f"Latencies are of the kinds {', '.join(comparison.latency_kinds)}."))
    parts.append(
        Text(
            "Latencies in ms, CPU a turn, word error rate (WER) in %, differences of shares in "
            "percentage points. Below each: its 95 % interval, resampled by speaker; differences "
            "are paired."
        )
    )
    return Group(*parts)


def _figures(comparison: Comparison) -> Table:
    table = _table("variant")
    for heading in (
        "p50",
        "mean",
        "p95",
        "pauses cut",
        "cut-ins",
        "misses",
        "WER",
        "CPU s",
    ):
        table.add_column(heading, justify="right", min_width=len(heading.split()[0]))
    for variant in comparison.variants:
        table.add_row(variant.name, *_row(variant.figures))
    return table


def _row(figures: VariantFigures) -> tuple[str, ...]:
    latencies = figures.voice_to_voice_ms
    return (
        _cell(latencies.p50, latencies.p50_ci95),
        _cell(latencies.mean, latencies.mean_ci95),
        _cell(latencies.p95, latencies.p95_ci95),
        f"{figures.pauses_cut_into}/{figures.pauses}"
        + _interval(figures.pause_cut_in_rate.ci95, scale=100, unit=" %"),
        f"{figures.cut_ins}/{figures.turns}",
        str(figures.missed),
        _estimate(figures.word_error_rate, scale=100),
        _estimate(figures.cpu_seconds_per_turn, digits=2),
    )


def _differences(comparison: Comparison) -> Table:
    first, *others = comparison.variants
    table = _table(f"less {first.name}")
    for heading in ("p50", "mean", "p95", "pauses cut", "misses", "WER", "CPU s", "turns"):
        table.add_column(heading, justify="right", min_width=len(heading.split()[0]))
    for variant in others:
        difference = variant.difference
        if difference is None:
            continue
        table.add_row(
            variant.name,
            _estimate(difference.p50_ms, sign=True),
            _estimate(difference.mean_ms, sign=True),
            _estimate(difference.p95_ms, sign=True),
            _estimate(difference.pause_cut_in_rate, scale=100, digits=1, sign=True),
            f"{difference.missed:+d}",
            _estimate(difference.word_error_rate, scale=100, digits=1, sign=True),
            _estimate(difference.cpu_seconds_per_turn, digits=2, sign=True),
            str(difference.turns),
        )
    return table


def _table(first_heading: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first_heading, overflow="fold")
    return table


def _estimate(
    estimate: Estimate, *, scale: float = 1.0, digits: int = 0, sign: bool = False
) -> str:
    return _cell(estimate.value, estimate.ci95, scale=scale, digits=digits, sign=sign)


def _cell(
    value: float | None,
    interval: Interval | None,
    *,
    scale: float = 1.0,
    digits: int = 0,
    sign: bool = False,
) -> str:
    if value is None:
        return _NONE
    text = f"{scale * value:{'+' if sign else ''}.{digits}f}"
    return text + _interval(interval, scale=scale, digits=digits)


def _interval(
    interval: Interval | None, *, scale: float = 1.0, digits: int = 0, unit: str = ""
) -> str:
    if interval is None:
        return ""
    low, high = interval
    return f"\n{scale * low:.{digits}f} to {scale * high:.{digits}f}{unit}"
