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
    expanded_tail,
    paired_intervals,
    ratio_difference_interval,
    ratio_interval,
)
from voicebot.bench.statistics import TAIL_95, Intervals, describe, percentile, word_errors
from voicebot.bench.summary import cluster_of, pauses_cut_into
from voicebot.text.normalise import normalise_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from voicebot.bench.record import Distribution, TurnRecord
    from voicebot.bench.statistics import Interval

__all__ = [
    "FEWEST_CLUSTERS",
    "SCHEMA",
    "VERDICT_TAIL",
    "ComparedVariant",
    "Comparison",
    "Difference",
    "Estimate",
    "VariantFigures",
    "compare",
    "write_comparison",
]

SCHEMA = "voicebot.comparison/1"

FEWEST_CLUSTERS = 10
"""With fewer speakers a bootstrap over them says too little for a verdict."""

_VERDICT_FIGURES = 6  # mean, median, p95, pauses cut into, words, processor time
VERDICT_TAIL = TAIL_95 / _VERDICT_FIGURES
"""What the interval of each judged figure leaves out at either end, before it is widened for few
speakers: among so many figures one in a hundred and twenty, so that of all verdicts together one in
twenty is false (Bonferroni)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and how sure it is; any may be unknown.

    Attributes:
        value: the figure.
        ci95: its 95 % interval.
        verdict_ci: of a difference, the wider interval that a verdict needs, see ``VERDICT_TAIL``;
            None with fewer than ``FEWEST_CLUSTERS`` speakers.
    """

    value: float | None
    ci95: Interval | None
    verdict_ci: Interval | None = None


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
        word_error_rate: of the turns with a text.
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
    word_error_rate: Estimate


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
        word_error_rate: of that rate.
        clusters: how many speakers these turns are of.
    """

    turns: int
    mean_ms: Estimate
    p50_ms: Estimate
    p95_ms: Estimate
    pause_cut_in_rate: Estimate
    cut_ins: int
    missed: int
    cpu_seconds_per_turn: Estimate
    word_error_rate: Estimate
    clusters: int


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
    normalise: Callable[[str], Sequence[str]] = normalise_words,
    seed: int = 0,
) -> Comparison:
    """Hold every variant against the first.

    Args:
        turns_by_name: what each variant has measured, warm-up left out; the first comes first.
        assignments: the settings that make each variant.
        latency_kinds: take latencies only from turns of these kinds; empty means all.
        normalise: brings a text to plain words before words are compared.
        seed: of the bootstrap.
    """
    first = next(iter(turns_by_name.values()))
    kinds = frozenset(latency_kinds)
    return Comparison(
        tuple(
            ComparedVariant(
                name,
                assignments[name],
                _figures(turns, kinds, normalise, seed),
                _difference(first, turns, kinds, normalise, seed) if turns is not first else None,
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


def _figures(
    turns: Sequence[TurnRecord],
    kinds: frozenset[str],
    normalise: Callable[[str], Sequence[str]],
    seed: int,
) -> VariantFigures:
    clusters = [cluster_of(turn) for turn in turns]
    timed = [
        (turn.voice_to_voice_ms, cluster_of(turn))
        for turn in turns
        if turn.voice_to_voice_ms is not None and _counts_for_latency(turn, kinds)
    ]
    pauses, cpu = _pause_counts(turns), _cpu_counts(turns)
    words = _word_counts(turns, normalise)
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
        word_error_rate=Estimate(
            words.ratio, ratio_interval(words, clusters, is_share=False, seed=seed)
        ),
    )


def _difference(
    first: Sequence[TurnRecord],
    second: Sequence[TurnRecord],
    kinds: frozenset[str],
    normalise: Callable[[str], Sequence[str]],
    seed: int,
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
    of_timed = [name for _, _, name in timed]
    intervals = paired_intervals(before, after, of_timed, seed=seed)
    tail = _verdict_tail(of_timed)
    strict = (
        Intervals(mean=None, p50=None, p95=None)
        if tail is None
        else paired_intervals(before, after, of_timed, seed=seed, tail=tail)
    )

    def latency(
        figure: Callable[[Sequence[float]], float | None],
        ci: Interval | None,
        verdict_ci: Interval | None,
    ) -> Estimate:
        low, high = figure(before), figure(after)
        value = None if low is None or high is None else high - low
        return Estimate(value, ci, verdict_ci)

    def ratio(counts: Callable[[Sequence[TurnRecord]], Counts]) -> Estimate:
        low, high = counts(ones), counts(others)
        if low.ratio is None or high.ratio is None:
            return Estimate(None, None)
        interval = ratio_difference_interval(low, high, clusters, seed=seed)
        # A speaker who weighs nothing in the ratio is none of those it is resampled from.
        tail = _verdict_tail(
            name
            for name, one, two in zip(clusters, low.wholes, high.wholes, strict=True)
            if one and two
        )
        strict = (
            None
            if tail is None
            else ratio_difference_interval(low, high, clusters, seed=seed, tail=tail)
        )
        return Estimate(high.ratio - low.ratio, interval, strict)

    return Difference(
        turns=len(timed),
        mean_ms=latency(_mean, intervals.mean, strict.mean),
        p50_ms=latency(lambda values: percentile(values, 50), intervals.p50, strict.p50),
        p95_ms=latency(lambda values: percentile(values, 95), intervals.p95, strict.p95),
        pause_cut_in_rate=ratio(_pause_counts),
        cut_ins=sum(turn.cut_in for turn in others) - sum(turn.cut_in for turn in ones),
        missed=sum(turn.missed for turn in others) - sum(turn.missed for turn in ones),
        cpu_seconds_per_turn=ratio(_cpu_counts),
        word_error_rate=ratio(lambda turns: _word_counts(turns, normalise)),
        clusters=len(set(of_timed)),
    )


def _verdict_tail(clusters: Iterable[str]) -> float | None:
    """What an interval for a verdict leaves out at either end; None with too few speakers."""
    count = len(set(clusters))
    return expanded_tail(VERDICT_TAIL, count) if count >= FEWEST_CLUSTERS else None


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


def _word_counts(turns: Sequence[TurnRecord], normalise: Callable[[str], Sequence[str]]) -> Counts:
    """Turns of which nobody knows what was said weigh nothing."""
    each = [
        word_errors([(turn.text, turn.transcript)] if turn.text is not None else [], normalise)
        for turn in turns
    ]
    return Counts(
        tuple(float(errors) for errors, _ in each), tuple(float(words) for _, words in each)
    )


def _cpu_counts(turns: Sequence[TurnRecord]) -> Counts:
    """Turns of which the processor time is not known weigh nothing."""
    return Counts(
        tuple(turn.cpu_s or 0.0 for turn in turns),
        tuple(float(turn.cpu_s is not None) for turn in turns),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
