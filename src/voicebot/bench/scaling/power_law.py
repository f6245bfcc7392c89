"""A power law plus a constant, fitted to measurements. Pure, seeded.

``y(x) = floor + (x / x0) ** slope``: the form that is used for scaling laws of generative models
(Henighan et al., "Scaling Laws for Autoregressive Generative Modeling", 2020, write it
``L(x) = L_inf + (x0 / x) ** alpha``, so that alpha is minus the slope). A latency grows with a
model's size, so its slope is positive and its floor is what even the smallest model costs; a loss
falls, so its slope is negative and its floor is what no size can undo.

The fit minimises the squared differences of logarithms, so that each size counts by its relative
error, with the trust-region least squares of scipy from several starting points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import ConfigError, VoicebotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from voicebot.bench.statistics import Interval

__all__ = [
    "FEWEST_SIZES",
    "FittedLaw",
    "HeldOut",
    "PowerLaw",
    "fit_power_law",
    "held_out_errors",
    "require_scipy",
]

FEWEST_SIZES = 4
"""Fewer would be fitted exactly: three parameters pass through any three points."""
_RESAMPLES = 200
_STARTING_SLOPES = (0.3, 0.6, 1.0, 1.5)
_STARTING_FLOORS = (0.01, 0.3, 0.9)
_TINY = 1e-12
_LEAST_SLOPE, _MOST_SLOPE = 1e-3, 8.0
_NEAR = 1.05
_LEAST_CHANGE = 0.02
_MOST_LOST_DRAWS = 0.05
_MOST_LOG = 700.0  # just below the logarithm of the largest float


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``y(x) = floor + (x / x0) ** slope``, held as ``floor + exp(log_gain + slope log(x / at))``.

    With a slope near 0 ``x0`` is further from every size than a float reaches, though the value at
    each size is an ordinary number; so ``x0`` is worked out where it is asked for.

    Attributes:
        floor: 0 or more, in the unit of y.
        log_gain: logarithm of the power term at ``at``.
        slope: of the power term in logarithms; not 0.
        at: a size, in the unit of x.
    """

    floor: float
    log_gain: float
    slope: float
    at: float = 1.0

    @classmethod
    def of_x0(cls, floor: float, x0: float, slope: float) -> PowerLaw:
        """The law in the form of papers; ``x0`` above 0, where the power term is 1."""
        return cls(floor, 0.0, slope, x0)

    @property
    def x0(self) -> float | None:
        """Where the power term is 1, in the unit of x; None where no float holds it."""
        return _exp_or_none(math.log(self.at) - self.log_gain / self.slope)

    def __call__(self, x: float) -> float:
        """The value at ``x`` (above 0); infinity where no float holds it."""
        power = _exp_or_none(self.log_gain + self.slope * math.log(x / self.at))
        return math.inf if power is None else self.floor + power

    def inverse(self, y: float) -> float | None:
        """The ``x`` at which the law gives ``y``.

        None at or below its floor, and where that ``x`` is beyond what a float holds.
        """
        if y <= self.floor:
            return None
        steps = (math.log(y - self.floor) - self.log_gain) / self.slope
        return _exp_or_none(math.log(self.at) + steps)


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """A law and how well it holds.

    Attributes:
        law: the best one.
        floor_ci95: 95 % interval of its floor, by drawing each size's measurements again.
        slope_ci95: the same for its slope.
        residuals: size to the relative error of its median, measured over predicted less 1.
        resampled: the laws of the draws, for intervals of predictions.
    """

    law: PowerLaw
    floor_ci95: Interval
    slope_ci95: Interval
    residuals: Mapping[float, float]
    resampled: tuple[PowerLaw, ...]

    def interval(self, x: float) -> Interval:
        """The 95 % interval of the value at ``x``."""
        low, high = np.percentile([law(x) for law in self.resampled], [2.5, 97.5])
        return float(low), float(high)

    def inverse_interval(self, y: float) -> Interval | None:
        """The 95 % interval of the size that gives ``y``; None where no draw reaches it."""
        sizes = [size for law in self.resampled if (size := law.inverse(y)) is not None]
        if not sizes:
            return None
        low, high = np.percentile(sizes, [2.5, 97.5])
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A size that was left out of the fit, and what the others say of it.

    Attributes:
        x: the size.
        measured: its median.
        predicted: by the law of the other sizes.
        is_outside: whether it lies beyond them, so that the law had to reach.
    """

    x: float
    measured: float
    predicted: float
    is_outside: bool

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted / self.measured - 1.0


def fit_power_law(
    measurements: Mapping[float, Sequence[float]], *, falls: bool = False, seed: int = 0
) -> FittedLaw:
    """Fit the law to measurements.

    Args:
        measurements: size to what was measured at it, once or several times; all above 0.
        falls: whether y falls with x, as a loss does.
        seed: of the draws.

    Raises:
        VoicebotError: there are fewer than four sizes, a value is not above 0, or the measurements
            do not determine a slope: they do not rise (fall) with size, or scatter too much.
        ConfigError: scipy is not installed.
    """
    sizes = sorted(measurements)
    if len(sizes) < FEWEST_SIZES:
        raise VoicebotError(
            f"{len(sizes)} sizes say nothing of a law with three parameters",
            f"measure {FEWEST_SIZES} or more",
        )
    if min(sizes) <= 0 or any(value <= 0 for each in measurements.values() for value in each):
        raise VoicebotError("a power law is fitted to values above 0 only", "leave the others out")
    x = np.array(sizes)
    medians = np.array([float(np.median(measurements[size])) for size in sizes])
    require_scipy()
    law = _best(x, medians, falls=falls)
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(_RESAMPLES):
        drawn = [
            float(np.median(rng.choice(measurements[size], len(measurements[size]))))
            for size in sizes
        ]
        resampled.append(_best(x, np.array(drawn), falls=falls, start=law))
    lost = sum(_has_no_slope(each, x) for each in resampled)
    if _has_no_slope(law, x) or lost > _MOST_LOST_DRAWS * len(resampled):
        raise VoicebotError(
            f"these values do not {'fall' if falls else 'rise'} with size so that a power law "
            "could be told from them",
            "measure more rounds on a quiet machine, or sizes that lie further apart",
        )
    floor_low, floor_high = np.percentile([each.floor for each in resampled], [2.5, 97.5])
    slope_low, slope_high = np.percentile([each.slope for each in resampled], [2.5, 97.5])
    return FittedLaw(
        law,
        floor_ci95=(float(floor_low), float(floor_high)),
        slope_ci95=(float(slope_low), float(slope_high)),
        residuals={
            size: float(median / law(size) - 1) for size, median in zip(sizes, medians, strict=True)
        },
        resampled=tuple(resampled),
    )


def held_out_errors(
    measurements: Mapping[float, Sequence[float]], *, falls: bool = False
) -> tuple[HeldOut, ...]:
    """Leave each size out in turn, and predict it from the others; none with too few sizes.

    Raises:
        ConfigError: scipy is not installed.
    """
    sizes = sorted(measurements)
    if len(sizes) <= FEWEST_SIZES:
        return ()
    require_scipy()
    found = []
    for size in sizes:
        others = np.array([each for each in sizes if each != size])
        medians = np.array([float(np.median(measurements[each])) for each in others])
        predicted = _best(others, medians, falls=falls)(size)
        is_outside = size in (sizes[0], sizes[-1])
        found.append(HeldOut(size, float(np.median(measurements[size])), predicted, is_outside))
    return tuple(found)


def require_scipy() -> None:
    """Find out whether a law can be fitted at all.

    Raises:
        ConfigError: scipy is not installed.
    """
    try:
        import scipy.optimize  # noqa: F401, PLC0415 - only the laboratory needs it
    except ImportError as error:
        raise ConfigError(
            "fitting a scaling law needs scipy", "pip install 'voicebot[laboratory]'"
        ) from error


def _has_no_slope(law: PowerLaw, x: NDArray[np.float64]) -> bool:
    """Whether its slope lies at a bound, or is that of a term that adds nothing at these sizes."""
    slope, change = abs(law.slope), abs(math.log(law(float(x[-1])) / law(float(x[0]))))
    return not _LEAST_SLOPE * _NEAR < slope < _MOST_SLOPE / _NEAR or change < _LEAST_CHANGE


def _exp_or_none(logarithm: float) -> float | None:
    return math.exp(logarithm) if abs(logarithm) < _MOST_LOG else None


def _best(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    falls: bool,
    start: PowerLaw | None = None,
) -> PowerLaw:
    from scipy.optimize import least_squares  # noqa: PLC0415 - only the laboratory needs it

    sign = -1.0 if falls else 1.0
    # With x and y near 1 the three parameters are of one magnitude.
    x_scale, y_scale = float(np.exp(np.mean(np.log(x)))), float(np.median(y))
    log_x, log_y = np.log(x / x_scale), np.log(y / y_scale)

    def values(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        floor, log_gain, slope = parameters
        exponent = np.clip(log_gain + sign * slope * log_x, -60.0, 60.0)
        return np.asarray(floor + np.exp(exponent))

    def differences(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(values(parameters) + _TINY) - log_y)

    smallest = float(np.exp(log_y.min()))
    starts = [
        (smallest * floor, float(np.log(max(1.0 - smallest * floor, 0.05))), slope)
        for floor in _STARTING_FLOORS
        for slope in _STARTING_SLOPES
    ]
    if start is not None:
        gain_here = start.log_gain + start.slope * math.log(x_scale / start.at)
        starts = [(start.floor / y_scale, gain_here - math.log(y_scale), abs(start.slope))]
    bounds = ([0.0, -60.0, _LEAST_SLOPE], [smallest, 60.0, _MOST_SLOPE])
    best = min(
        (
            least_squares(differences, np.clip(begin, *bounds), bounds=bounds, x_scale="jac")
            for begin in starts
        ),
        key=lambda found: float(found.cost),
    )
    floor, log_gain, slope = (float(each) for each in best.x)
    return PowerLaw(floor * y_scale, log_gain + math.log(y_scale), sign * slope, x_scale)
