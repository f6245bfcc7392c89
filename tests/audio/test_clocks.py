"""Clocks that run apart, reported with jitter."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.audio.clocks import DeviceTime, StreamClock
from voicebot.audio.played import PlayedTrack

HOUR_S = 3600
BLOCK_S = 0.01


def run_clock(
    rate_hz: int, ppm: float, seconds: float, *, jitter_s: float, seed: int, start_s: float = 0.0
) -> StreamClock:
    """A stream that really runs at ``rate_hz`` * (1 + ppm), seen every 10 ms."""
    clock = StreamClock(rate_hz)
    block = round(rate_hz * BLOCK_S)
    true_rate_hz = rate_hz * (1 + ppm / 1e6)
    jitter = np.random.default_rng(seed).normal(0.0, jitter_s, round(seconds / BLOCK_S))
    for index, error_s in enumerate(jitter):
        count = index * block
        clock.observe(count, start_s + count / true_rate_hz + error_s)
    return clock


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 35.0, 200.0])
def test_drift_is_found_out_and_leaves_no_error(ppm: float) -> None:
    clock = run_clock(48_000, ppm, 120.0, jitter_s=0.001, seed=1)
    at = 48_000 * 119
    assert clock.instant_of(at) == pytest.approx(at / (48_000 * (1 + ppm / 1e6)), abs=2e-4)
    assert clock.drift_ppm == pytest.approx(ppm, abs=40)


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_microphone_and_loudspeaker_stay_in_step_for_an_hour(ppm: float) -> None:
    """Two clocks 400 millionths apart: uncorrected, they would end 1.44 s from each other."""
    near = StreamClock(16_000)
    far = StreamClock(48_000)
    near_rate_hz, far_rate_hz = 16_000 * (1 - ppm / 1e6), 48_000 * (1 + ppm / 1e6)
    jitter = np.random.default_rng(2).normal(0.0, 0.001, (2, HOUR_S * 100)).tolist()
    worst_s = 0.0
    for index in range(HOUR_S * 100):
        near.observe(index * 160, index * 160 / near_rate_hz + jitter[0][index])
        far.observe(index * 480, index * 480 / far_rate_hz + jitter[1][index])
        if index % 500 == 499:
            true_s = index * 160 / near_rate_hz
            aligned = far.index_at(near.instant_of(index * 160))
            worst_s = max(worst_s, abs(aligned / far_rate_hz - true_s))
    assert worst_s < 0.001


def test_a_gap_is_followed_at_once() -> None:
    clock = run_clock(16_000, 0.0, 5.0, jitter_s=0.0, seed=1)
    assert not clock.observe(80_000, 5.0)
    assert clock.observe(80_160, 5.51)
    assert clock.instant_of(80_160) == pytest.approx(5.51)


@pytest.mark.parametrize("moved_s", [0.02, -0.05])
def test_a_stream_that_moves_a_little_is_followed_within_half_a_second(moved_s: float) -> None:
    """Sound servers take a while to tell their latency when a stream starts."""
    clock = run_clock(16_000, 0.0, 60.0, jitter_s=0.0, seed=1)
    jitter = np.random.default_rng(5).normal(0.0, 0.001, 50)
    for step, error_s in enumerate(jitter):
        index = 960_000 + step * 160
        clock.observe(index, index / 16_000 + moved_s + error_s)
    assert clock.instant_of(968_000) == pytest.approx(60.5 + moved_s, abs=0.003)


def test_one_wild_report_does_not_bend_the_clock() -> None:
    clock = run_clock(16_000, 0.0, 60.0, jitter_s=0.0, seed=1)
    clock.observe(960_000, 60.0 + 0.08)
    clock.observe(960_160, 60.01)
    assert clock.instant_of(960_320) == pytest.approx(60.02, abs=5e-4)


def test_the_rate_is_never_taken_for_nonsense() -> None:
    clock = run_clock(16_000, 0.0, 1.0, jitter_s=0.02, seed=3)
    assert abs(clock.drift_ppm) <= 1001


def test_a_late_callback_does_not_move_device_time() -> None:
    time = DeviceTime()
    assert time.to_loop(10.0, current_s=10.0, now_s=3.0) == pytest.approx(3.0)
    assert time.to_loop(10.1, current_s=10.1, now_s=3.6) == pytest.approx(3.1, abs=1e-5)


@pytest.mark.parametrize(("rate_hz", "ppm"), [(48_000, 150.0), (22_050, -150.0), (16_000, 0.0)])
def test_what_was_played_is_read_by_instants(rate_hz: int, ppm: float) -> None:
    true_rate_hz = rate_hz * (1 + ppm / 1e6)
    clock = StreamClock(rate_hz)
    track = PlayedTrack(rate_hz, clock)
    block = round(rate_hz * BLOCK_S)
    for index in range(round(60.0 / BLOCK_S)):
        count = index * block
        at_s = (count + np.arange(block)) / true_rate_hz
        clock.observe(count, float(at_s[0]))
        track.push(np.sin(2 * np.pi * 440 * at_s).astype(np.float32))
    got = np.concatenate([track.leaving(58.0 + index * BLOCK_S, 160) for index in range(100)])
    expected = np.sin(2 * np.pi * 440 * (58.0 + np.arange(16_000) / 16_000))
    assert got == pytest.approx(expected, abs=0.01)
    assert track.known_until_s == pytest.approx(track.count / true_rate_hz, abs=0.002)


def test_what_is_not_known_is_silence() -> None:
    clock = StreamClock(16_000)
    track = PlayedTrack(16_000, clock, seconds=1.0)
    assert not track.leaving(0.0, 160).any()
    assert track.known_until_s == float("-inf")
    clock.observe(0, 0.0)
    for _ in range(300):
        track.push(np.ones(160, dtype=np.float32))
    assert not track.leaving(1.0, 160).any(), "too long ago"
    assert track.leaving(2.5, 160) == pytest.approx(np.ones(160), abs=1e-3)
    assert not track.leaving(3.1, 160).any(), "not yet"
