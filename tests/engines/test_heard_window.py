from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.engines.heard_window import HeardWindow, padded_samples


@pytest.mark.parametrize(
    ("samples", "padding_s", "seconds"),
    [
        (16_000, 0.0, 1.0),
        (16_001, 0.0, 1.5),
        (16_000, 2.5, 3.5),
        (16_000, None, 30.0),
        (0, 0.0, 0.5),
        (29 * 16_000, 2.5, 30.0),
    ],
)
def test_the_encoder_is_shown_half_seconds(
    samples: int, padding_s: float | None, seconds: float
) -> None:
    assert padded_samples(samples, padding_s) == seconds * 16_000


@settings(deadline=None)
@given(st.integers(0, 480_000), st.one_of(st.none(), st.floats(0.0, 30.0)))
def test_the_audio_fits_and_the_limit_is_kept(samples: int, padding_s: float | None) -> None:
    assert samples <= padded_samples(samples, padding_s) <= 480_000


def test_positions_stay_when_the_window_is_cut() -> None:
    window = HeardWindow()
    for start in range(0, 100, 10):
        window.push(np.arange(start, start + 10, dtype=np.float32) / 100)
    window.cut(30)
    assert (window.start, window.end) == (30, 100)
    assert window.samples()[0] == np.float32(0.3)
    assert len(window.samples(50)) == 20
    window.push(np.zeros(5, np.float32))
    assert window.end == 105
    assert len(window.samples()) == 75


def test_what_is_no_number_is_silence() -> None:
    window = HeardWindow()
    window.push(np.array([np.nan, np.inf, -np.inf, 7.0, -7.0], np.float32))
    assert window.samples().tolist() == [0.0, 0.0, 0.0, 1.0, -1.0]
