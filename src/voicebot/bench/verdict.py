"""What a comparison says in words, and no more than its intervals allow. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.comparison import FEWEST_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.bench.comparison import ComparedVariant, Comparison, Difference, Estimate

__all__ = ["verdicts"]


def verdicts(comparison: Comparison) -> tuple[str, ...]:
    """A sentence for each variant against the first.

    A figure is called better or worse only if the interval that verdicts need (wider than the one
    of 95 % that is shown, since several figures are judged) leaves out zero; otherwise the sentence
    says how far apart the two can still be. A variant that misses more turns is never called
    faster, and whatever is said of latency is followed by what became of misses, cut-ins and
    words.
    """
    first, *others = comparison.variants
    return tuple(_verdict(first, other) for other in others)


def _verdict(first: ComparedVariant, other: ComparedVariant) -> str:
    difference = other.difference
    pair = f"{other.name} against {first.name}"
    if difference is None or not difference.turns:
        return f"{pair}: no turn has a latency in both."
    price = _price(difference)
    if difference.clusters < FEWEST_CLUSTERS:
        count = f"{difference.clusters} of {FEWEST_CLUSTERS}"
        return f"{pair}: too few speakers for a verdict ({count}); {price}."
    said = list(_judged(difference))
    if said:
        return f"{pair}: {'; '.join(said)}; {price}."
    mean = difference.mean_ms.verdict_ci
    within = "the mean is not known well enough"
    if mean is not None:
        within = f"the mean differs by {mean[0]:+.0f} to {mean[1]:+.0f} ms"
    if difference.missed > 0 and mean is not None and mean[1] < 0:
        within += " in the turns that both answer, but slow turns may be those missed"
    return f"{pair}: no verdict, {within}; {price}."


def _judged(difference: Difference) -> Iterator[str]:
    """A phrase for each figure whose interval allows one."""
    latencies = (
        ("median", difference.p50_ms),
        ("mean", difference.mean_ms),
        ("p95", difference.p95_ms),
    )
    for name, estimate in latencies:
        word = _side(estimate, "faster", "slower")
        if word and not (word == "faster" and difference.missed > 0):
            yield f"{word} by the {name}, {_in_ms(estimate)}"
    cut, cpu, words = (
        difference.pause_cut_in_rate,
        difference.cpu_seconds_per_turn,
        difference.word_error_rate,
    )
    if word := _side(cut, "cuts into fewer pauses", "cuts into more pauses"):
        yield f"{word}, {_in_points(cut)}"
    if word := _side(words, "understands more words", "understands fewer words"):
        yield f"{word}, word error rate {_in_points(words)}"
    if word := _side(cpu, "less processor time", "more processor time"):
        yield f"{word}, {_in_seconds(cpu)}"


def _price(difference: Difference) -> str:
    """What became of what a faster variant may have paid with."""
    misses = "as many misses"
    if difference.missed:
        kind = "more" if difference.missed > 0 else "fewer"
        noun = "miss" if abs(difference.missed) == 1 else "misses"
        misses = f"{abs(difference.missed)} {kind} {noun}"
        misses = f"but {misses}" if difference.missed > 0 else misses
    cut_ins = "as many turns cut into"
    if difference.cut_ins:
        kind = "more" if difference.cut_ins > 0 else "fewer"
        noun = "turn" if abs(difference.cut_ins) == 1 else "turns"
        cut_ins = f"{abs(difference.cut_ins)} {kind} {noun} cut into"
    rate = difference.word_error_rate.value
    words = "words not compared" if rate is None else f"word error rate {100 * rate:+.1f} points"
    return f"{misses}, {cut_ins}, {words}"


def _side(estimate: Estimate, below: str, above: str) -> str:
    """The word for the side of zero on which the whole interval lies; empty if on neither."""
    if estimate.verdict_ci is None:
        return ""
    low, high = estimate.verdict_ci
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
