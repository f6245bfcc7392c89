"""What a fitted law says: the largest model within a time, and what a faster machine would buy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from voicebot.bench.summary import machine_caveats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.bench.record import MachineState
    from voicebot.bench.scaling.power_law import FittedLaw, HeldOut, PowerLaw
    from voicebot.bench.statistics import Interval

__all__ = ["SCHEMA", "LargestModel", "RealModel", "ScalingRun", "ThreadResult", "largest_models"]

SCHEMA = "voicebot.scaling/2"
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
class RealModel:
    """A model with weights of its own, held against the law of the ladder.

    Attributes:
        parameters: how many; it may be as large as a rung.
        first_clause_ms: once a round.
        write_ms: context length to ms a token, once a round.
    """

    parameters: float
    first_clause_ms: Sequence[float]
    write_ms: Mapping[int, Sequence[float]]


@dataclass(frozen=True, slots=True)
class ThreadResult:
    """All that was found with one number of threads.

    Attributes:
        threads: how many.
        first_clause_ms: of the ladder: parameters to ms, once a round.
        write_ms: of the ladder: context length to parameters to ms a token, once a round.
        law: of the first clause in parameters, fitted to the ladder; None where there is none.
        no_law: why there is none; empty if there is one.
        context_law: of a token's time in the context, for the size named ``context_size``; None
            with too few contexts, or where the time does not rise with them.
        held_out: what the law says of sizes that were left out.
        largest: the answers; none without a law.
        real: name to each real model.
    """

    threads: int
    first_clause_ms: Mapping[float, Sequence[float]]
    write_ms: Mapping[int, Mapping[float, Sequence[float]]]
    law: FittedLaw | None
    context_law: FittedLaw | None
    context_size: float | None
    held_out: tuple[HeldOut, ...]
    largest: tuple[LargestModel, ...]
    no_law: str = ""
    real: Mapping[str, RealModel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScalingRun:
    """A whole measurement.

    Attributes:
        cpu: the processor.
        cores: how many this process may use.
        started_at: ISO 8601.
        target_ms: in which the first clause shall be written.
        rounds: how many were measured whole.
        partial: it was ended before all rounds were.
        results: one a number of threads.
        machine: what else the machine did meanwhile.
    """

    cpu: str
    cores: int
    started_at: str
    target_ms: float
    rounds: int
    partial: bool
    results: tuple[ThreadResult, ...]
    machine: MachineState | None = None

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader must know before trusting the figures, a sentence each."""
        rungs = len(self.results[0].first_clause_ms)
        found = [
            (
                f"The ladder's {rungs} models have random weights in the shape of real ones: their "
                "times are honest, their words mean nothing, and nothing here speaks of quality."
            )
        ]
        if self.partial:
            found.append(f"It was ended early, after {self.rounds} of the rounds.")
        found += [
            f"There is no law for {result.threads} thread(s): {result.no_law}."
            for result in self.results
            if result.no_law
        ]
        if self.machine is not None:
            found += machine_caveats(self.machine)
        return tuple(found)

    def as_json(self) -> dict[str, object]:
        """What ``scaling.json`` holds; the draws behind the intervals are left out."""
        data = asdict(self)
        for result, told in zip(self.results, data["results"], strict=True):
            for name, fitted in (("law", result.law), ("context_law", result.context_law)):
                if fitted is not None:
                    del told[name]["resampled"]
                    told[name]["law"]["x0"] = fitted.law.x0
        return {"schema": SCHEMA, "ladder": "shape-true", **data}


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
