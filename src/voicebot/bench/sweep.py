"""The trade between speed and cut-ins: one curve for each way of weighing the evidence.

A curve is a rule, played at several points of eagerness. The configuration's own rule and
eagerness are the default, the point that all others are held against. Pure but for
``write_sweep``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from voicebot.bench.files import write_text_atomically
from voicebot.bench.variants import Variant
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from voicebot.bench.comparison import ComparedVariant, Comparison, VariantFigures

__all__ = [
    "POINTS",
    "SCHEMA",
    "PlannedPoint",
    "Sweep",
    "SweepPoint",
    "parse_points",
    "plan_sweep",
    "swept",
    "write_sweep",
]

SCHEMA = "voicebot.sweep/1"

POINTS: Mapping[str, tuple[float, ...]] = {
    "fused": (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0),
    "smart-turn": (0.0, 0.25, 0.5, 0.75, 1.0),
    "silence": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Rule to points of eagerness, where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A point of a curve, and the variant that plays it.

    Attributes:
        rule: as in ``turns.rule``.
        eagerness: as in ``turns.eagerness``.
        variant: see there.
    """

    rule: str
    eagerness: float
    variant: Variant


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A point that was played.

    Attributes:
        rule: as in ``turns.rule``.
        eagerness: as in ``turns.eagerness``.
        is_default: it is what the configuration says.
        dominates_default: its cut-in rate, mean and p95 are all at most the default's, and one of
            them is below.
        is_surely_better: of those three, no difference to the default has an interval that reaches
            above 0, and one has an interval below 0; the intervals are those that verdicts need.
        result: its figures, and their differences to the default.
    """

    rule: str
    eagerness: float
    is_default: bool
    dominates_default: bool
    is_surely_better: bool
    result: ComparedVariant


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points, curve by curve, each from the least to the most eager.

    Attributes:
        points: the default among them.
        latency_kinds: the kinds of callers whose latencies are shown; empty means all.
    """

    points: tuple[SweepPoint, ...]
    latency_kinds: tuple[str, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The curves, the default's first."""
        rules = dict.fromkeys(point.rule for point in self.points)
        return tuple(sorted(rules, key=lambda rule: rule != self.default.rule))

    @property
    def default(self) -> SweepPoint:
        """The point that the configuration says."""
        return next(point for point in self.points if point.is_default)

    @property
    def dominating(self) -> tuple[SweepPoint, ...]:
        """The points that dominate the default."""
        return tuple(point for point in self.points if point.dominates_default)

    @property
    def verdict(self) -> str:
        """Whether any point dominates the default, in a sentence or two."""
        if not self.default.result.figures.turns:
            return "The default was not played, so there is nothing to hold the points against."
        if self.default.result.figures.pause_cut_in_rate.value is None:
            return "These callers make no pauses, so nothing here tells speed from rudeness."
        if not self.dominating:
            return (
                "No measured point dominates the default: none has both no more cut-ins and no "
                "higher mean and p95."
            )
        named = ", ".join(_name(point) for point in self.dominating)
        sure = [_name(point) for point in self.dominating if point.is_surely_better]
        verb = "dominates" if len(self.dominating) == 1 else "dominate"
        rest = (
            f"Beyond what chance explains: {', '.join(sure)}."
            if sure
            else "No difference is beyond what chance explains."
        )
        return f"{named} {verb} the default in these turns. {rest}"


def parse_points(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The points to play: ``POINTS``, but for the rules that ``RULE=E[,E…]`` names.

    A rule without points is not played.

    Raises:
        ConfigError: a text is of another form, or a number is not from 0 to 1.
    """
    points = dict(POINTS)
    for text in texts:
        rule, equals, values = text.partition("=")
        try:
            numbers = {float(value) for value in values.split(",") if value.strip()}
        except ValueError:
            numbers = {-1.0}
        if not equals or not rule.strip() or not all(0.0 <= value <= 1.0 for value in numbers):
            raise ConfigError(
                f"--points {text} names no points",
                "write --points RULE=E,E,… with numbers from 0 to 1, such as --points fused=0,0.5",
            )
        points[rule.strip()] = tuple(sorted(numbers))
    return points


def plan_sweep(
    points: Mapping[str, Sequence[float]], default: tuple[str, float]
) -> list[PlannedPoint]:
    """What to play; the default, a rule and its eagerness, comes first, whether asked for or not.

    Returns:
        The points, no two alike.
    """
    wanted = [(rule, float(value)) for rule, values in points.items() for value in values]
    return [
        PlannedPoint(
            rule,
            value,
            Variant(f"{rule}-{value!r}", (f"turns.rule={rule}", f"turns.eagerness={value!r}")),
        )
        for rule, value in dict.fromkeys([default, *wanted])
    ]


def swept(planned: Sequence[PlannedPoint], comparison: Comparison) -> Sweep:
    """The sweep that ``planned`` has become.

    Args:
        planned: the default first.
        comparison: a variant for each, in the same order.
    """
    default = comparison.variants[0]
    points = [
        SweepPoint(
            rule=plan.rule,
            eagerness=plan.eagerness,
            is_default=result is default,
            dominates_default=_dominates(result.figures, default.figures),
            is_surely_better=_is_surely_better(result),
            result=result,
        )
        for plan, result in zip(planned, comparison.variants, strict=True)
    ]
    order = list(dict.fromkeys(point.rule for point in points))
    points.sort(key=lambda point: (order.index(point.rule), point.eagerness))
    return Sweep(tuple(points), comparison.latency_kinds)


def write_sweep(sweep: Sweep, path: Path) -> None:
    """Write ``sweep`` to ``path`` as JSON, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    data = {"schema": SCHEMA, "verdict": sweep.verdict, **asdict(sweep)}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    write_text_atomically(path, text + "\n")


def _name(point: SweepPoint) -> str:
    return f"{point.rule} at {point.eagerness:g}"


def _dominates(one: VariantFigures, other: VariantFigures) -> bool:
    pairs = [
        (one.pause_cut_in_rate.value, other.pause_cut_in_rate.value),
        (one.voice_to_voice_ms.mean, other.voice_to_voice_ms.mean),
        (one.voice_to_voice_ms.p95, other.voice_to_voice_ms.p95),
    ]
    known = [(mine, its) for mine, its in pairs if mine is not None and its is not None]
    if len(known) < len(pairs) or one.missed > other.missed:
        return False
    return all(mine <= its for mine, its in known) and any(mine < its for mine, its in known)


def _is_surely_better(result: ComparedVariant) -> bool:
    difference = result.difference
    if difference is None:
        return False
    intervals = [
        estimate.verdict_ci
        for estimate in (difference.pause_cut_in_rate, difference.mean_ms, difference.p95_ms)
    ]
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return False
    return all(high <= 0 for _, high in known) and any(high < 0 for _, high in known)
