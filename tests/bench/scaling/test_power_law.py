"""Laws that are known, found again from what they would have been measured as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.bench.scaling.power_law import PowerLaw, fit_power_law, held_out_errors
from voicebot.errors import VoicebotError

SIZES = (0.02, 0.06, 0.135, 0.36, 0.5, 1.1, 1.7)


def measured(law: PowerLaw, noise: float = 0.0, repeats: int = 1) -> dict[float, list[float]]:
    rng = np.random.default_rng(3)
    return {
        size: [law(size) * float(np.exp(rng.normal(0, noise))) for _ in range(repeats)]
        for size in SIZES
    }


@given(floor=st.floats(0.5, 20), x0=st.floats(0.005, 0.2), slope=st.floats(0.4, 1.6))
@settings(deadline=None, max_examples=15)
def test_a_rising_law_is_found_again(floor: float, x0: float, slope: float) -> None:
    law = PowerLaw(floor, x0, slope)
    fitted = fit_power_law(measured(law)).law
    for size in (0.03, 0.2, 1.5):
        assert fitted(size) == pytest.approx(law(size), rel=0.03)


def test_a_falling_law_is_found_again() -> None:
    law = PowerLaw(2.0, 0.4, -0.5)
    fitted = fit_power_law(measured(law), falls=True)
    assert fitted.law.floor == pytest.approx(2.0, rel=0.05)
    assert fitted.law.slope == pytest.approx(-0.5, rel=0.05)
    assert fitted.law.inverse(3.0) == pytest.approx(0.4, rel=0.05)
    assert fitted.law.inverse(1.9) is None


def test_noise_widens_the_intervals_and_they_hold_the_truth() -> None:
    law = PowerLaw(4.0, 0.02, 1.0)
    exact = fit_power_law(measured(law, repeats=5))
    noisy = fit_power_law(measured(law, noise=0.05, repeats=15))
    assert exact.slope_ci95[1] - exact.slope_ci95[0] < 0.01
    low, high = noisy.interval(0.8)
    assert low < law(0.8) < high
    assert noisy.slope_ci95[0] < 1.0 < noisy.slope_ci95[1]
    size = noisy.inverse_interval(law(0.5))
    assert size is not None
    assert size[0] < 0.5 < size[1]
    assert noisy.inverse_interval(0.01) is None
    assert max(abs(each) for each in noisy.residuals.values()) < 0.1


def test_a_size_that_was_left_out_is_predicted() -> None:
    found = held_out_errors(measured(PowerLaw(4.0, 0.02, 1.0), noise=0.01, repeats=7))
    assert [each.x for each in found] == list(SIZES)
    assert [each.is_outside for each in found] == [True, *([False] * 5), True]
    assert all(abs(each.error) < 0.2 for each in found)
    assert held_out_errors({1.0: [1.0], 2.0: [2.0], 3.0: [3.0], 4.0: [4.0]}) == ()


@pytest.mark.parametrize(
    "measurements",
    [
        {},
        {1.0: [1.0], 2.0: [2.0], 3.0: [3.0]},
        {1.0: [1.0], 2.0: [0.0], 3.0: [3.0], 4.0: [4.0]},
        {0.0: [1.0], 2.0: [1.0], 3.0: [3.0], 4.0: [4.0]},
    ],
)
def test_what_no_law_can_be_fitted_to_is_refused(measurements: dict[float, list[float]]) -> None:
    with pytest.raises(VoicebotError):
        fit_power_law(measurements)


def test_equal_values_give_a_flat_law() -> None:
    fitted = fit_power_law({float(size): [5.0] for size in (1, 2, 4, 8)})
    assert fitted.law(3.0) == pytest.approx(5.0, rel=0.02)
