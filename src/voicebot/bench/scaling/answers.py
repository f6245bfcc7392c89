"""What a fitted law says: the largest model within a time, and what a faster machine would buy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.bench.scaling.power_law import FittedLaw, HeldOut, PowerLaw
    from voicebot.bench.statistics import Interval

__all__ = ["SCHEMA", "LargestModel", "ScalingRun", "ThreadResult", "largest_models"]

SCHEMA = "voicebot.scaling/1"
_SPEEDUPS = (1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class LargestModel:
    """The largest model whose first clause comes in time.

    Attributes:
        speedup: on a machine so many times as fast as this one; its floor shrinks as well.
        target_ms: the time.
        parameters: None where even the smallest is too slow.
        ci95: of the parameters.
        is_measured: whether it lies within the sizes that were measured; beyond, the law reaches.
    """

    speedup: float
    target_ms: float
    parameters: float | None
    ci95: Interval | None
    is_measured: bool


@dataclass(frozen=True, slots=True)
class ThreadResult:
    """All that was found with one number of threads.

    Attributes:
        threads: how many.
        first_clause_ms: parameters to ms, once a round.
        write_ms: context length to parameters to ms a token, once a round.
        law: of the first clause in parameters.
        context_law: of a token's time in the context, for the size named ``context_size``; None
            with too few contexts.
        held_out: what the law says of sizes that were left out.
        largest: the answers.
    """

    threads: int
    first_clause_ms: Mapping[float, Sequence[float]]
    write_ms: Mapping[int, Mapping[float, Sequence[float]]]
    law: FittedLaw
    context_law: FittedLaw | None
    context_size: float | None
    held_out: tuple[HeldOut, ...]
    largest: tuple[LargestModel, ...]


@dataclass(frozen=True, slots=True)
class ScalingRun:
    """A whole measurement.

    Attributes:
        cpu: the processor.
        cores: how many this process may use.
        started_at: ISO 8601.
        weights: the size of each model in parameters to what its weights are: ``shape-true``,
            or the folder of a real one.
        results: one a number of threads.
    """

    cpu: str
    cores: int
    started_at: str
    weights: Mapping[float, str]
    results: tuple[ThreadResult, ...]

    def as_json(self) -> dict[str, object]:
        """What ``scaling.json`` holds; the draws behind the intervals are left out."""
        data = asdict(self)
        for result in data["results"]:
            for name in ("law", "context_law"):
                if result[name] is not None:
                    del result[name]["resampled"]
        return {"schema": SCHEMA, **data}


def largest_models(
    fitted: FittedLaw, sizes: Sequence[float], target_ms: float
) -> tuple[LargestModel, ...]:
    """The largest model in time on this machine, and on machines twice and four times as fast.

    A machine ``s`` times as fast takes ``1 / s`` of every time here, so its answer is this
    machine's for ``s`` times the target.
    """
    found = []
    for speedup in _SPEEDUPS:
        reached = fitted.law.inverse(target_ms * speedup)
        too_slow = reached is None or _first(fitted.law, sizes) > target_ms * speedup
        found.append(
            LargestModel(
                speedup,
                target_ms,
                parameters=None if too_slow else reached,
                ci95=None if too_slow else fitted.inverse_interval(target_ms * speedup),
                is_measured=not too_slow and reached is not None and reached <= max(sizes),
            )
        )
    return tuple(found)


def _first(law: PowerLaw, sizes: Sequence[float]) -> float:
    return law(min(sizes))
