from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.audio.loudness import (
    audible_spans,
    audible_windows,
    first_audible,
    last_audible,
    window_samples,
)

RATE_HZ = 16_000
JUST_HEARD = 10.0 ** (-44.9 / 20.0)
JUST_NOT_HEARD = 10.0 ** (-45.1 / 20.0)


def level(value: float, count: int) -> np.ndarray:
    return np.full(count, value, dtype=np.float32)


@pytest.mark.parametrize(
    ("sample_rate_hz", "size"), [(16_000, 160), (22_050, 221), (8_000, 80), (48_000, 480), (30, 1)]
)
def test_a_window_lasts_10_ms(sample_rate_hz: int, size: int) -> None:
    assert window_samples(sample_rate_hz) == size


def test_the_threshold_is_an_rms_of_minus_45_dbfs() -> None:
    assert first_audible(level(JUST_HEARD, 160), RATE_HZ) == 0
    assert first_audible(level(JUST_NOT_HEARD, 160), RATE_HZ) is None


def test_a_full_scale_sine_is_3_db_below_full_scale() -> None:
    sine = np.sin(2 * np.pi * 100 * np.arange(RATE_HZ) / RATE_HZ)
    for gain_db, heard in ((-41.9, True), (-42.1, False)):
        quiet = (sine * 10 ** (gain_db / 20)).astype(np.float32)
        assert audible_windows(quiet, RATE_HZ).all() == heard


def test_nothing_is_audible_in_silence_or_in_no_samples() -> None:
    for samples in (level(0.0, 1000), level(0.0, 0)):
        assert first_audible(samples, RATE_HZ) is None
        assert last_audible(samples, RATE_HZ) is None
        assert audible_spans(samples, RATE_HZ) == []


def test_sound_is_found_at_the_start_of_its_window() -> None:
    samples = np.concatenate((level(0, 170), level(0.5, 320), level(0, 500)))
    assert first_audible(samples, RATE_HZ) == 160
    assert last_audible(samples, RATE_HZ) == 640
    assert audible_spans(samples, RATE_HZ) == [(160, 640)]


def test_a_partial_last_window_counts_as_if_silence_followed() -> None:
    quiet = 2 * JUST_HEARD
    assert first_audible(level(quiet, 100), RATE_HZ) == 0
    assert first_audible(level(quiet, 20), RATE_HZ) is None
    assert audible_spans(level(0.5, 200), RATE_HZ) == [(0, 200)]


def test_stretches_close_to_each_other_are_joined() -> None:
    samples = np.concatenate((level(0.5, 160), level(0, 320), level(0.5, 160)))
    assert audible_spans(samples, RATE_HZ) == [(0, 160), (480, 640)]
    assert audible_spans(samples, RATE_HZ, join_gap_ms=19.9) == [(0, 160), (480, 640)]
    assert audible_spans(samples, RATE_HZ, join_gap_ms=20.0) == [(0, 640)]


loud_windows = st.lists(st.booleans(), max_size=40)


@given(loud=loud_windows, remainder=st.integers(0, 159), gap_ms=st.integers(0, 60))
def test_spans_cover_every_audible_window_and_lie_apart(
    loud: list[bool], remainder: int, gap_ms: int
) -> None:
    samples = np.concatenate((np.repeat(np.array(loud, np.float32), 160), level(1.0, remainder)))
    spans = audible_spans(samples, RATE_HZ, join_gap_ms=gap_ms)
    inside = np.zeros(samples.size, dtype=bool)
    for start, end in spans:
        assert 0 <= start < end <= samples.size
        assert start % 160 == 0
        inside[start:end] = True
    assert inside[samples > 0].all()
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    assert all(gap > gap_ms * 16 for gap in gaps)
    assert (spans[0][0] if spans else None) == first_audible(samples, RATE_HZ)
    assert (spans[-1][1] if spans else None) == last_audible(samples, RATE_HZ)
    if gap_ms == 0:
        assert sum(end - start for start, end in spans) == int(samples.sum())


@given(loud=loud_windows, silent=st.integers(0, 10))
def test_silence_before_moves_the_onset_by_its_length(loud: list[bool], silent: int) -> None:
    samples = np.repeat(np.array(loud, np.float32), 160)
    later = np.concatenate((level(0, silent * 160), samples))
    onset = first_audible(samples, RATE_HZ)
    assert first_audible(later, RATE_HZ) == (None if onset is None else onset + silent * 160)


@given(
    values=st.lists(st.floats(-1, 1, width=32), max_size=700),
    gain=st.floats(1.0, 8.0),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050]),
)
def test_louder_is_never_less_audible(values: list[float], gain: float, rate_hz: int) -> None:
    samples = np.array(values, dtype=np.float32)
    before = audible_windows(samples, rate_hz)
    after = audible_windows((samples * np.float32(gain)).astype(np.float32), rate_hz)
    assert before.shape == after.shape
    assert not (before & ~after).any()
