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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import ConfigError, VoicebotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from voicebot.bench.statistics import Interval

__all__ = ["FEWEST_SIZES", "FittedLaw", "HeldOut", "PowerLaw", "fit_power_law", "held_out_errors"]

FEWEST_SIZES = 4
"""Fewer would be fitted exactly: three parameters pass through any three points."""
_RESAMPLES = 200
_STARTING_SLOPES = (0.3, 0.6, 1.0, 1.5)
_STARTING_FLOORS = (0.01, 0.3, 0.9)
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``y(x) = floor + (x / x0) ** slope``.

    Attributes:
        floor: 0 or more, in the unit of y.
        x0: where the power term is 1, in the unit of x.
        slope: of the power term in logarithms; not 0.
    """

    floor: float
    x0: float
    slope: float

    def __call__(self, x: float) -> float:
        """The value at ``x`` (above 0)."""
        return self.floor + float((x / self.x0) ** self.slope)

    def inverse(self, y: float) -> float | None:
        """The ``x`` at which the law gives ``y``; None at or below its floor."""
        if y <= self.floor:
            return None
        return float(self.x0 * (y - self.floor) ** (1.0 / self.slope))


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
        VoicebotError: there are fewer than four sizes, or a value is not above 0.
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
    law = _best(x, medians, falls=falls)
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(_RESAMPLES):
        drawn = [
            float(np.median(rng.choice(measurements[size], len(measurements[size]))))
            for size in sizes
        ]
        resampled.append(_best(x, np.array(drawn), falls=falls, start=law))
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
    found = []
    for size in sizes:
        others = np.array([each for each in sizes if each != size])
        medians = np.array([float(np.median(measurements[each])) for each in others])
        predicted = _best(others, medians, falls=falls)(size)
        is_outside = size in (sizes[0], sizes[-1])
        found.append(HeldOut(size, float(np.median(measurements[size])), predicted, is_outside))
    return tuple(found)


def _best(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    falls: bool,
    start: PowerLaw | None = None,
) -> PowerLaw:
    try:
        from scipy.optimize import least_squares  # noqa: PLC0415 - only the laboratory needs it
    except ImportError as error:
        raise ConfigError(
            "fitting a scaling law needs scipy", "pip install 'voicebot[laboratory]'"
        ) from error
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
        log_gain = abs(start.slope) * np.log(x_scale / start.x0) * sign - np.log(y_scale)
        starts = [(start.floor / y_scale, float(log_gain), abs(start.slope))]
    bounds = ([0.0, -60.0, 1e-3], [smallest, 60.0, 8.0])
    best = min(
        (
            least_squares(differences, np.clip(begin, *bounds), bounds=bounds, x_scale="jac")
            for begin in starts
        ),
        key=lambda found: float(found.cost),
    )
    floor, log_gain, slope = (float(each) for each in best.x)
    # y_scale * exp(log_gain) * (x / x_scale) ** (sign * slope), written as (x / x0) ** slope.
    signed = sign * slope
    x0 = x_scale * float(np.exp(-(log_gain + np.log(y_scale)) / signed))
    return PowerLaw(floor * y_scale, x0, signed)
