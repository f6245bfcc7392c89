"""A run in figures as Markdown, to be pasted into a README or an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.definitions import score_by_definitions
from voicebot.bench.record import BREAKDOWN_STAGES
from voicebot.bench.summary import TARGET_MS, caveats, mean_breakdown, share_within, went_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voicebot.bench.record import GroupSummary, Run
    from voicebot.bench.statistics import Interval

__all__ = ["markdown_of"]


def markdown_of(run: Run) -> str:
    """The figures of ``run`` by kind, by part and by others' definitions, with their caveats."""
    parts = [
        _headline(run),
        _kinds(run),
        _yields(run),
        _breakdown(run),
        _definitions(run),
        _notes(run),
        _made_with(run),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(run: Run) -> str:
    latencies = run.summary.voice_to_voice_ms
    if latencies.p50 is None:
        return "**No turn got a reply.**"
    return (
        f"**Voice to voice: p50 {_ms(latencies.p50)} ms{_interval(latencies.p50_ci95)}, "
        f"mean {_ms(latencies.mean)} ms{_interval(latencies.mean_ci95)}, "
        f"p95 {_ms(latencies.p95)} ms{_interval(latencies.p95_ci95)}**, "
        f"{_percent(share_within(run.turns, TARGET_MS))} of {run.summary.turns} turns within "
        f"{TARGET_MS:.0f} ms. In brackets: 95 % intervals, resampled by speaker."
    )


def _kinds(run: Run) -> str:
    header = ("kind", "turns", "p50 ms", "mean ms", "p95 ms", "cut-ins", "misses", "WER")
    groups = [*run.summary.by_kind.items(), ("all", run.summary)]
    return _table(header, [_kind_row(name, group) for name, group in groups])


def _kind_row(name: str, group: GroupSummary) -> tuple[str, ...]:
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


def _yields(run: Run) -> str:
    """How fast the bot fell silent for those who spoke over it; empty if nobody did."""
    rows = [
        (kind, str(each.count), _ms(each.p50), _ms(each.p95))
        for kind, each in ((kind, group.yield_ms) for kind, group in run.summary.by_kind.items())
        if each.count
    ]
    if not rows:
        return ""
    table = _table(("yields to", "turns over the bot", "p50 ms", "p95 ms"), rows)
    held, over_reply = went_on(run.turns)
    if not over_reply:
        return table
    return f"{table}\n\nGoes on after an acknowledgement or a noise: {held} of {over_reply}."


def _breakdown(run: Run) -> str:
    mean = mean_breakdown(run.turns)
    if mean is None:
        return ""
    parts = run.summary.breakdown_ms
    rows = [
        ("mean", *(_ms(getattr(mean, stage)) for stage in BREAKDOWN_STAGES)),
        ("p50", *(_ms(parts[stage].p50) for stage in BREAKDOWN_STAGES)),
        ("p95", *(_ms(parts[stage].p95) for stage in BREAKDOWN_STAGES)),
    ]
    return _table(("where it goes, ms", *BREAKDOWN_STAGES), rows)


def _definitions(run: Run) -> str:
    header = (
        "the same turns, timed",
        "turns",
        "p50 ms",
        "mean ms",
        "p95 ms",
        "clock bias ms",
        "p50 bias ms",
        "mean bias ms",
    )
    rows = [
        (
            each.definition.name,
            str(each.count),
            _ms(each.p50_ms),
            _ms(each.mean_ms),
            _ms(each.p95_ms),
            *(
                "-" if bias is None else f"{bias:+.0f}"
                for bias in (each.clock_bias_ms, each.p50_bias_ms, each.mean_bias_ms)
            ),
        )
        for each in score_by_definitions(run.turns)
    ]
    return _table(header, rows)


def _notes(run: Run) -> str:
    summary = run.summary
    lines = [f"Pauses cut into: {summary.pauses_cut_into} of {summary.pauses}."]
    lines.append(f"Drafts used: {_percent(summary.draft_hit_rate)}.")
    if summary.cpu_seconds_per_turn is not None:
        lines.append(f"CPU a turn: {summary.cpu_seconds_per_turn:.2f} s.")
    if summary.peak_rss_mib is not None:
        lines.append(f"Memory at its peak: {summary.peak_rss_mib:.0f} MiB.")
    return "\n".join([" ".join(lines), *(f"\n> {each}" for each in caveats(run))])


def _made_with(run: Run) -> str:
    meta = run.meta
    models = ", ".join(f"{each.role} {each.name}" for each in meta.models)
    return (
        f"{meta.host.cpu}, {meta.host.cores} cores, {meta.host.os}; voicebot {meta.version}"
        f"{f' at {meta.commit[:10]}' if meta.commit else ''}, profile {meta.profile}"
        f"{f' ({models})' if models else ''}; {meta.started_at}."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(header), "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _ms(value: float | None) -> str:
    return "-" if value is None else str(round(value))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval[0]:.0f} to {interval[1]:.0f})"
