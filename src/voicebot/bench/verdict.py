"""What a comparison says in words, and no more than its intervals allow. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.bench.comparison import ComparedVariant, Comparison, Difference, Estimate

__all__ = ["verdicts"]


def verdicts(comparison: Comparison) -> tuple[str, ...]:
    """A sentence for each variant against the first.

    A figure is called better or worse only if its 95 % interval leaves out zero; otherwise the
    sentence says how far apart the two can still be.
    """
    first, *others = comparison.variants
    return tuple(_verdict(first, other) for other in others)


def _verdict(first: ComparedVariant, other: ComparedVariant) -> str:
    difference = other.difference
    if difference is None or not difference.turns:
        return f"{other.name} against {first.name}: no turn has a latency in both."
    judged = list(_judged(difference))
    said = [text for text, is_clear in judged if is_clear]
    if said:
        return f"{other.name} against {first.name}: {'; '.join(said)}."
    mean = difference.mean_ms.ci95
    within = "too few speakers for an interval"
    if mean is not None:
        within = f"the mean differs by {mean[0]:+.0f} to {mean[1]:+.0f} ms"
    return f"{other.name} against {first.name}: no verdict, {within}."


def _judged(difference: Difference) -> Iterator[tuple[str, bool]]:
    """A phrase for each figure, and whether its interval allows it."""
    latencies = (
        ("median", difference.p50_ms),
        ("mean", difference.mean_ms),
        ("p95", difference.p95_ms),
    )
    for name, estimate in latencies:
        word = _side(estimate, "faster", "slower")
        yield f"{word} by the {name}, {_in_ms(estimate)}", bool(word)
    word = _side(difference.pause_cut_in_rate, "cuts into fewer pauses", "cuts into more pauses")
    yield f"{word}, {_in_points(difference.pause_cut_in_rate)}", bool(word)
    word = _side(difference.cpu_seconds_per_turn, "less processor time", "more processor time")
    yield f"{word}, {_in_seconds(difference.cpu_seconds_per_turn)}", bool(word)


def _side(estimate: Estimate, below: str, above: str) -> str:
    """The word for the side of zero on which the whole interval lies; empty if on neither."""
    if estimate.ci95 is None:
        return ""
    low, high = estimate.ci95
    return below if high < 0 else above if low > 0 else ""


def _in_ms(estimate: Estimate) -> str:
    return _with_interval(estimate, 1.0, 0, "ms")


def _in_points(estimate: Estimate) -> str:
    return _with_interval(estimate, 100.0, 1, "points")


def _in_seconds(estimate: Estimate) -> str:
    return _with_interval(estimate, 1.0, 2, "s a turn")


def _with_interval(estimate: Estimate, scale: float, digits: int, unit: str) -> str:
    if estimate.value is None or estimate.ci95 is None:
        return ""
    low, high = (scale * end for end in estimate.ci95)
    return f"{scale * estimate.value:+.{digits}f} {unit} ({low:+.{digits}f} to {high:+.{digits}f})"
