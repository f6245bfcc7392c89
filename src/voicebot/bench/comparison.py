"""Variants that played the same callers, side by side, each against the first.

Pure but for ``write_comparison``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.bench.files import write_text_atomically
from voicebot.bench.paired_statistics import (
    Counts,
    paired_intervals,
    ratio_difference_interval,
    ratio_interval,
)
from voicebot.bench.statistics import describe, percentile
from voicebot.bench.summary import cluster_of, pauses_cut_into

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from voicebot.bench.record import Distribution, TurnRecord
    from voicebot.bench.statistics import Interval

__all__ = [
    "SCHEMA",
    "ComparedVariant",
    "Comparison",
    "Difference",
    "Estimate",
    "VariantFigures",
    "compare",
    "write_comparison",
]

SCHEMA = "voicebot.comparison/1"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; either may be unknown."""

    value: float | None
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """What a variant came to.

    Attributes:
        turns: how many were played.
        missed: those with nothing audible within 5 s of the true end.
        cut_ins: those in which the bot was audible before the true end.
        pauses: gaps between speech segments inside the turns.
        pauses_cut_into: those into which the bot spoke.
        pause_cut_in_rate: the share of them.
        voice_to_voice_ms: of the turns that have a latency.
        cpu_seconds_per_turn: of the process and its children.
        draft_hit_rate: drafts used over drafts started.
    """

    turns: int
    missed: int
    cut_ins: int
    pauses: int
    pauses_cut_into: int
    pause_cut_in_rate: Estimate
    voice_to_voice_ms: Distribution
    cpu_seconds_per_turn: Estimate
    draft_hit_rate: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant minus the first one, over the turns that both have played.

    Attributes:
        turns: how many of those have a latency in both.
        mean_ms: of the mean latency of these.
        p50_ms: of the median.
        p95_ms: of the 95th percentile.
        pause_cut_in_rate: of the share of pauses cut into.
        cut_ins: of the number of turns with a cut-in.
        missed: of the number of misses.
        cpu_seconds_per_turn: of the processor time.
    """

    turns: int
    mean_ms: Estimate
    p50_ms: Estimate
    p95_ms: Estimate
    pause_cut_in_rate: Estimate
    cut_ins: int
    missed: int
    cpu_seconds_per_turn: Estimate


@dataclass(frozen=True, slots=True)
class ComparedVariant:
    """A variant, its figures, and how it differs from the first; None for the first itself."""

    name: str
    assignments: tuple[str, ...]
    figures: VariantFigures
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All variants, the first of which the others are held against.

    Attributes:
        variants: in the order in which they were given.
        latency_kinds: the kinds of callers whose turns the latencies are of; empty means all.
            Cut-ins, misses and processor time are always of all turns.
    """

    variants: tuple[ComparedVariant, ...]
    latency_kinds: tuple[str, ...] = ()


def compare(
    turns_by_name: Mapping[str, Sequence[TurnRecord]],
    assignments: Mapping[str, tuple[str, ...]],
    *,
    latency_kinds: Collection[str] = (),
    seed: int = 0,
) -> Comparison:
    """Hold every variant against the first.

    Args:
        turns_by_name: what each variant has measured, warm-up left out; the first comes first.
        assignments: the settings that make each variant.
        latency_kinds: take latencies only from turns of these kinds; empty means all.
        seed: of the bootstrap.
    """
    first = next(iter(turns_by_name.values()))
    kinds = frozenset(latency_kinds)
    return Comparison(
        tuple(
            ComparedVariant(
                name,
                assignments[name],
                _figures(turns, kinds, seed),
                _difference(first, turns, kinds, seed) if turns is not first else None,
            )
            for name, turns in turns_by_name.items()
        ),
        tuple(sorted(kinds)),
    )


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write ``comparison`` to ``path`` as JSON, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    data = {"schema": SCHEMA, **asdict(comparison)}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    write_text_atomically(path, text + "\n")


def _figures(turns: Sequence[TurnRecord], kinds: frozenset[str], seed: int) -> VariantFigures:
    clusters = [cluster_of(turn) for turn in turns]
    timed = [
        (turn.voice_to_voice_ms, cluster_of(turn))
        for turn in turns
        if turn.voice_to_voice_ms is not None and _counts_for_latency(turn, kinds)
    ]
    pauses, cpu = _pause_counts(turns), _cpu_counts(turns)
    started = sum(turn.drafts.started for turn in turns)
    return VariantFigures(
        turns=len(turns),
        missed=sum(turn.missed for turn in turns),
        cut_ins=sum(turn.cut_in for turn in turns),
        pauses=round(sum(pauses.wholes)),
        pauses_cut_into=round(sum(pauses.parts)),
        pause_cut_in_rate=Estimate(
            pauses.ratio, ratio_interval(pauses, clusters, is_share=True, seed=seed)
        ),
        voice_to_voice_ms=describe([value for value, _ in timed], [name for _, name in timed]),
        cpu_seconds_per_turn=Estimate(
            cpu.ratio, ratio_interval(cpu, clusters, is_share=False, seed=seed)
        ),
        draft_hit_rate=sum(turn.drafts.used for turn in turns) / started if started else None,
    )


def _difference(
    first: Sequence[TurnRecord], second: Sequence[TurnRecord], kinds: frozenset[str], seed: int
) -> Difference:
    pairs = _paired(first, second)
    ones, others = [one for one, _ in pairs], [other for _, other in pairs]
    clusters = [cluster_of(one) for one in ones]
    timed = [
        (one.voice_to_voice_ms, other.voice_to_voice_ms, cluster_of(one))
        for one, other in pairs
        if one.voice_to_voice_ms is not None
        and other.voice_to_voice_ms is not None
        and _counts_for_latency(one, kinds)
    ]
    before, after = [value for value, _, _ in timed], [value for _, value, _ in timed]
    intervals = paired_intervals(before, after, [name for _, _, name in timed], seed=seed)

    def latency(figure: Callable[[Sequence[float]], float | None], ci: Interval | None) -> Estimate:
        low, high = figure(before), figure(after)
        return Estimate(None if low is None or high is None else high - low, ci)

    def ratio(counts: Callable[[Sequence[TurnRecord]], Counts]) -> Estimate:
        low, high = counts(ones), counts(others)
        if low.ratio is None or high.ratio is None:
            return Estimate(None, None)
        interval = ratio_difference_interval(low, high, clusters, seed=seed)
        return Estimate(high.ratio - low.ratio, interval)

    return Difference(
        turns=len(timed),
        mean_ms=latency(_mean, intervals.mean),
        p50_ms=latency(lambda values: percentile(values, 50), intervals.p50),
        p95_ms=latency(lambda values: percentile(values, 95), intervals.p95),
        pause_cut_in_rate=ratio(_pause_counts),
        cut_ins=sum(turn.cut_in for turn in others) - sum(turn.cut_in for turn in ones),
        missed=sum(turn.missed for turn in others) - sum(turn.missed for turn in ones),
        cpu_seconds_per_turn=ratio(_cpu_counts),
    )


def _counts_for_latency(turn: TurnRecord, kinds: frozenset[str]) -> bool:
    return not kinds or turn.kind in kinds


def _paired(
    first: Sequence[TurnRecord], second: Sequence[TurnRecord]
) -> list[tuple[TurnRecord, TurnRecord]]:
    """The turns that both have, matched by conversation, clip and how often that came before."""
    others = _by_key(second)
    return [(one, others[key]) for key, one in _by_key(first).items() if key in others]


def _by_key(turns: Sequence[TurnRecord]) -> dict[tuple[str | None, str, int], TurnRecord]:
    seen: Counter[tuple[str | None, str]] = Counter()
    found = {}
    for turn in turns:
        name = (turn.conversation, turn.caller)
        found[*name, seen[name]] = turn
        seen[name] += 1
    return found


def _pause_counts(turns: Sequence[TurnRecord]) -> Counts:
    pauses = [pauses_cut_into(turn) for turn in turns]
    return Counts(tuple(cut for _, cut in pauses), tuple(count for count, _ in pauses))


def _cpu_counts(turns: Sequence[TurnRecord]) -> Counts:
    """Turns of which the processor time is not known weigh nothing."""
    return Counts(
        tuple(turn.cpu_s or 0.0 for turn in turns),
        tuple(float(turn.cpu_s is not None) for turn in turns),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
