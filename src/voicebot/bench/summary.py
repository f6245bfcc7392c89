"""A run's figures from its turns, and what to hold against them.

Nothing is dropped: a miss is counted and listed, a cut-in stays in the voice-to-voice figures
with the (signed) latency of the reply that answers the whole turn, and so does a reply that came
after the 5 s at which its turn was a miss. Only a turn without such a reply has no latency, and
``Distribution.count`` says how many have one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.record import (
    BREAKDOWN_STAGES,
    DraftTotals,
    GroupSummary,
    Run,
    StagePercentiles,
    Summary,
    TurnRecord,
    YieldPercentiles,
)
from voicebot.bench.statistics import describe, percentile, word_errors
from voicebot.text.normalise import normalise_words
from voicebot.timeline import Breakdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.bench.record import Distribution

__all__ = [
    "TARGET_MS",
    "caveats",
    "cluster_of",
    "mean_breakdown",
    "pauses_cut_into",
    "share_within",
    "summarise",
]

TARGET_MS = 300.0
"""The project's aim for voice-to-voice; marked in every chart and table."""

_FEW_TURNS = 20
"""With fewer, the 95th percentile is little more than the slowest turn."""
_FEW_CLUSTERS = 10
"""With fewer, a bootstrap over clusters gives intervals that are too narrow."""
_SUM_TOLERANCE_MS = 0.5
_UNEXPLAINED_MS = 30.0
_STALL_MS = 10.0
_STOLEN_SHARE = 0.01
_OTHERS_SHARE = 0.1
_COARSE_TIMER_US = 1000.0


def summarise(
    turns: Sequence[TurnRecord],
    *,
    cpu_seconds_per_turn: float | None = None,
    peak_rss_mib: float | None = None,
    normalise: Callable[[str], Sequence[str]] = normalise_words,
    seed: int = 0,
) -> Summary:
    """The figures of ``turns`` (warm-up turns among them are left out, as they must be).

    Args:
        turns: what was measured.
        cpu_seconds_per_turn: of the process and its children, as the runner measured it.
        peak_rss_mib: likewise.
        normalise: brings a text to plain words before words are compared.
        seed: of the bootstrap.
    """
    counted = [turn for turn in turns if not turn.warmup]
    kinds = sorted({turn.kind for turn in counted})
    whole = _summarise_group(counted, normalise, seed)
    return Summary(
        turns=whole.turns,
        answered=whole.answered,
        missed=whole.missed,
        cut_ins=whole.cut_ins,
        cut_in_rate=whole.cut_in_rate,
        pauses=whole.pauses,
        pauses_cut_into=whole.pauses_cut_into,
        pause_cut_in_rate=whole.pause_cut_in_rate,
        voice_to_voice_ms=whole.voice_to_voice_ms,
        word_error_rate=whole.word_error_rate,
        draft_hit_rate=whole.draft_hit_rate,
        yield_ms=whole.yield_ms,
        drafts=whole.drafts,
        breakdown_ms=_breakdown_percentiles(counted),
        cpu_seconds_per_turn=cpu_seconds_per_turn,
        peak_rss_mib=peak_rss_mib,
        by_kind={
            kind: _summarise_group([turn for turn in counted if turn.kind == kind], normalise, seed)
            for kind in kinds
        },
    )


def cluster_of(turn: TurnRecord) -> str:
    """What ``turn`` is resampled with: its speaker, or its own clip where none is named."""
    return f"speaker {turn.speaker}" if turn.speaker else f"clip {turn.caller}"


def pauses_cut_into(turn: TurnRecord) -> tuple[int, int]:
    """How many pauses ``turn`` has, and into how many of them the bot spoke.

    A pause is a gap between two speech segments. The bot spoke into it if it became audible after
    the gap began and before the next gap or the true end: a reply committed in the gap may well
    become audible only when the caller already speaks again.
    """
    gap_starts = [end for _, end in turn.speech[:-1]]
    limits = [*gap_starts[1:], turn.true_end_s]
    onsets = [start for start, _ in turn.bot_audio]
    cut = sum(
        any(begin <= onset < limit for onset in onsets)
        for begin, limit in zip(gap_starts, limits, strict=False)
    )
    return len(gap_starts), cut


def share_within(turns: Sequence[TurnRecord], limit_ms: float) -> float | None:
    """The share of all ``turns``, misses included, whose latency is at most ``limit_ms``."""
    if not turns:
        return None
    latencies = [turn.voice_to_voice_ms for turn in turns]
    return sum(value is not None and value <= limit_ms for value in latencies) / len(turns)


def mean_breakdown(turns: Sequence[TurnRecord]) -> Breakdown | None:
    """The mean of each part; unlike percentiles, these sum to the mean latency of the same turns.

    None when no turn has a breakdown.
    """
    parts = [turn.breakdown_ms for turn in turns if turn.breakdown_ms is not None]
    if not parts:
        return None
    return Breakdown(
        **{
            stage: sum(getattr(each, stage) for each in parts) / len(parts)
            for stage in BREAKDOWN_STAGES
        }
    )


_ESTIMATED = (
    "Nobody has labelled where the user's turns end: latencies count from the endpointer's "
    "estimate, pauses inside a turn are those that it noticed."
)


def caveats(run: Run) -> tuple[str, ...]:
    """What a reader must know before trusting the figures, a sentence each; often empty."""
    estimated = run.meta.true_ends == "estimated"
    return (
        *([_ESTIMATED] if estimated else []),
        *_caveats_of_size(run),
        *_caveats_of_turns(run.turns),
        *_caveats_of_machine(run),
    )


def _caveats_of_size(run: Run) -> list[str]:
    found = []
    latencies = run.summary.voice_to_voice_ms
    if run.partial:
        found.append(f"The run was ended early, after {_counted(len(run.turns), 'turn', 'turns')}.")
    if 0 < latencies.count < _FEW_TURNS:
        found.append(
            f"Only {_counted(latencies.count, 'turn has', 'turns have')} a latency: with fewer "
            f"than {_FEW_TURNS}, p95 is little more than the slowest one."
        )
    clusters = {cluster_of(turn) for turn in run.turns if turn.voice_to_voice_ms is not None}
    if latencies.count >= _FEW_TURNS and len(clusters) < _FEW_CLUSTERS:
        found.append(
            f"Only {_counted(len(clusters), 'speaker', 'speakers')}: the intervals are too narrow."
        )
    if run.turns and run.warmup == 0 and run.meta.true_ends == "labelled":
        found.append("No warm-up turn was played: the first turns pay for what loads late.")
    return found


def _caveats_of_turns(turns: Sequence[TurnRecord]) -> list[str]:
    found = []
    unexplained = sum(_sums_wrongly(turn) for turn in turns)
    if unexplained:
        found.append(
            f"In {_counted(unexplained, 'turn', 'turns')} the breakdown does not sum to the "
            "latency: do not trust it there."
        )
    rest = [abs(turn.breakdown_ms.unattributed) for turn in turns if turn.breakdown_ms is not None]
    rest_p95 = percentile(rest, 95)
    if rest_p95 is not None and rest_p95 > _UNEXPLAINED_MS:
        found.append(f"Up to {rest_p95:.0f} ms (p95) of a turn's latency are explained by no mark.")
    underruns = sum(turn.underruns for turn in turns)
    if underruns:
        found.append(
            f"{_counted(underruns, 'gap', 'gaps')} in the sound of replies: the sink ran dry."
        )
    failures = sum(turn.failure is not None for turn in turns)
    if failures:
        found.append(f"{_counted(failures, 'turn', 'turns')} failed; see the list of turns.")
    fallen = sum(bool(turn.fallbacks) for turn in turns)
    if fallen:
        stages = ", ".join(sorted({stage for turn in turns for stage in turn.fallbacks}))
        found.append(
            f"{_counted(fallen, 'turn', 'turns')} had a fallback at work ({stages}): the figures "
            "are not those of the configured engines alone."
        )
    return found


def _caveats_of_machine(run: Run) -> list[str]:
    found = []
    stall_ms = run.meta.loop_stall_p95_ms
    if stall_ms is not None and stall_ms > _STALL_MS:
        found.append(f"The event loop was up to {stall_ms:.0f} ms late (p95).")
    machine = run.meta.machine
    if machine is None:
        return found
    if machine.others_share > _OTHERS_SHARE:
        found.append(
            f"Other programs took {100 * machine.others_share:.0f} % of the machine: measure again "
            "when it is quiet."
        )
    if machine.stolen_share > _STOLEN_SHARE:
        found.append(
            f"Other virtual machines took {100 * machine.stolen_share:.1f} % of the processor time."
        )
    if machine.throttles:
        found.append(f"The processor was slowed down {machine.throttles} times because it was hot.")
    if machine.timer_resolution_us > _COARSE_TIMER_US:
        found.append(
            f"The clock tells no less than {machine.timer_resolution_us / 1000:.0f} ms apart."
        )
    return found


def _sums_wrongly(turn: TurnRecord) -> bool:
    if turn.breakdown_ms is None or turn.voice_to_voice_ms is None:
        return False
    return abs(turn.breakdown_ms.total_ms - turn.voice_to_voice_ms) > _SUM_TOLERANCE_MS


def _summarise_group(
    turns: Sequence[TurnRecord], normalise: Callable[[str], Sequence[str]], seed: int
) -> GroupSummary:
    cut_ins = sum(turn.cut_in for turn in turns)
    pauses = [pauses_cut_into(turn) for turn in turns]
    pause_count = sum(count for count, _ in pauses)
    pause_cut_count = sum(cut for _, cut in pauses)
    yields = [turn.yield_ms for turn in turns if turn.yield_ms is not None]
    errors, words = word_errors(
        [(turn.text, turn.transcript) for turn in turns if turn.text is not None], normalise
    )
    return GroupSummary(
        turns=len(turns),
        answered=sum(turn.voice_to_voice_ms is not None and not turn.missed for turn in turns),
        missed=sum(turn.missed for turn in turns),
        cut_ins=cut_ins,
        cut_in_rate=_rate(cut_ins, len(turns)),
        pauses=pause_count,
        pauses_cut_into=pause_cut_count,
        pause_cut_in_rate=_rate(pause_cut_count, pause_count),
        voice_to_voice_ms=_latencies(turns, seed),
        word_error_rate=_rate(errors, words),
        draft_hit_rate=_rate(
            sum(turn.drafts.used for turn in turns), sum(turn.drafts.started for turn in turns)
        ),
        yield_ms=YieldPercentiles(percentile(yields, 50), percentile(yields, 95), len(yields)),
        drafts=_draft_totals(turns),
    )


def _draft_totals(turns: Sequence[TurnRecord]) -> DraftTotals:
    drafts = [turn.drafts for turn in turns]
    told = [each.discarded_cpu_s for each in drafts if each.discarded_cpu_s is not None]
    return DraftTotals(
        started=sum(each.started for each in drafts),
        used=sum(each.used for each in drafts),
        discarded=sum(each.discarded for each in drafts),
        discarded_tokens=sum(each.discarded_tokens for each in drafts),
        discarded_cpu_s=sum(told) if told else None,
        won_ms_p50=percentile([each.won_ms for each in drafts if each.won_ms is not None], 50),
    )


def _latencies(turns: Sequence[TurnRecord], seed: int) -> Distribution:
    timed = [
        (turn.voice_to_voice_ms, cluster_of(turn))
        for turn in turns
        if turn.voice_to_voice_ms is not None
    ]
    return describe([value for value, _ in timed], [cluster for _, cluster in timed], seed=seed)


def _breakdown_percentiles(turns: Sequence[TurnRecord]) -> dict[str, StagePercentiles]:
    parts = [turn.breakdown_ms for turn in turns if turn.breakdown_ms is not None]
    percentiles = {}
    for stage in BREAKDOWN_STAGES:
        values = [float(getattr(each, stage)) for each in parts]
        percentiles[stage] = StagePercentiles(percentile(values, 50), percentile(values, 95))
    return percentiles


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
