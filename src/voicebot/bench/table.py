"""A run's figures for a terminal: 80 columns, complete without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from voicebot.bench.record import BREAKDOWN_STAGES
from voicebot.bench.summary import TARGET_MS, caveats, share_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.record import GroupSummary, Run, TurnRecord

__all__ = ["summary_table"]

_LISTED = 8
"""Misses and cut-ins named each; the report has them all."""
_NONE = "-"


def summary_table(run: Run) -> RenderableType:
    """What ``voicebot bench`` prints of ``run`` when it is over."""
    parts: list[RenderableType] = [_headline(run), _kinds(run)]
    if any(turn.breakdown_ms is not None for turn in run.turns):
        parts.append(_breakdown(run))
    parts.append(_notes(run))
    warnings = caveats(run)
    if warnings:
        lines = [Text(f"! {each}", style="yellow") for each in warnings]
        parts.append(Padding(Group(*lines), (1, 0, 0, 0)))
    return Group(*parts)


def _headline(run: Run) -> Text:
    latencies = run.summary.voice_to_voice_ms
    if latencies.p50 is None:
        return Text("No turn got a reply." if run.turns else "No turn was counted.", style="bold")
    reached = "reached" if latencies.p50 <= TARGET_MS else "missed"
    line = Text.assemble(
        "Voice to voice: ",
        (f"p50 {_ms(latencies.p50)} ms", "bold"),
        f", mean {_ms(latencies.mean)} ms, p95 {_ms(latencies.p95)} ms",
    )
    line.append(f"\nTarget of {TARGET_MS:.0f} ms {reached} by the median; ")
    line.append(f"{_percent(share_within(run.turns, TARGET_MS))} of all turns are within it")
    if latencies.p50_ci95 and latencies.p95_ci95:
        low, high = latencies.p50_ci95
        tail_low, tail_high = latencies.p95_ci95
        line.append(f"\n95 % intervals: p50 {low:.0f} to {high:.0f} ms, ")
        line.append(f"p95 {tail_low:.0f} to {tail_high:.0f} ms")
    return line


def _kinds(run: Run) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=False)
    table.add_column("kind", overflow="fold", max_width=18)
    for heading in ("turns", "p50 ms", "mean ms", "p95 ms", "cut-ins", "misses", "WER"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind, group in run.summary.by_kind.items():
        table.add_row(*_row(kind, group))
    table.add_section()
    table.add_row(*_row("all", run.summary), style="bold")
    return table


def _row(name: str, group: GroupSummary) -> tuple[str, ...]:
    latencies = group.voice_to_voice_ms
    return (
        name,
        str(group.turns),
        _ms(latencies.p50),
        _ms(latencies.mean),
        _ms(latencies.p95),
        str(group.cut_ins),
        str(group.missed),
        _percent(group.word_error_rate),
    )


def _breakdown(run: Run) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("where it goes")
    for stage in BREAKDOWN_STAGES:
        table.add_column(stage, justify="right", no_wrap=True)
    parts = run.summary.breakdown_ms
    table.add_row("p50 ms", *(_ms(parts[stage].p50) for stage in BREAKDOWN_STAGES))
    table.add_row("p95 ms", *(_ms(parts[stage].p95) for stage in BREAKDOWN_STAGES))
    return table


def _notes(run: Run) -> Group:
    summary = run.summary
    cut_ins = (
        f"Cut-ins {summary.cut_ins} of {summary.turns} turns ({_percent(summary.cut_in_rate)})"
    )
    pauses = f"into {summary.pauses_cut_into} of {summary.pauses} pauses"
    drafts = f"drafts used {_percent(summary.draft_hit_rate)}"
    errors = f"word error rate {_percent(summary.word_error_rate)}"
    lines = [f"{cut_ins}; {pauses}", f"Misses {summary.missed}; {drafts}; {errors}"]
    lines += [
        f"Yields to {kind}: p50 {_ms(group.yield_ms.p50)} ms, p95 {_ms(group.yield_ms.p95)} ms, "
        f"of {group.yield_ms.count}"
        for kind, group in summary.by_kind.items()
        if group.yield_ms.count
    ]
    lines += _drafts(summary)
    cold = next((turn.voice_to_voice_ms for turn in run.warmup_turns), None)
    if cold is not None:
        lines.append(f"Cold, the first turn of all took {_ms(cold)} ms; it is not counted")
    if summary.cpu_seconds_per_turn is not None:
        lines.append(f"CPU {summary.cpu_seconds_per_turn:.2f} s a turn")
    if summary.peak_rss_mib is not None:
        lines.append(f"Memory {summary.peak_rss_mib:.0f} MiB at its peak")
    lines += _named("Missed", [turn for turn in run.turns if turn.missed])
    lines += _named("Cut into", [turn for turn in run.turns if turn.cut_in])
    return Group(*(Text(line) for line in lines))


def _drafts(summary: GroupSummary) -> list[str]:
    totals = summary.drafts
    if totals is None or not totals.started:
        return []
    line = (
        f"Drafts: {totals.discarded} of {totals.started} dropped ({totals.discarded_tokens} tokens"
    )
    if totals.discarded_cpu_s is not None:
        line += f", {totals.discarded_cpu_s:.1f} s of CPU"
    line += ")"
    if totals.won_ms_p50 is not None:
        line += f"; each one used won {_ms(totals.won_ms_p50)} ms (p50)"
    return [line]


def _named(word: str, turns: Sequence[TurnRecord]) -> list[str]:
    lines = [f"{word}: {turn.caller}" for turn in turns[:_LISTED]]
    if len(turns) > _LISTED:
        lines.append(f"{word}: {len(turns) - _LISTED} more, in the report")
    return lines


def _ms(value: float | None) -> str:
    return _NONE if value is None else str(round(value))


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"
