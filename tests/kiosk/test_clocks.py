"""The page's clocks told in the server's."""

from __future__ import annotations

import random

import pytest

from voicebot.kiosk.clocks import CaptureClock, PageClock, PlaybackClock


def test_the_fastest_ping_counts() -> None:
    clock = PageClock()
    assert not clock.is_known
    # The page's clock is 100 s behind; the first answer was held up by 80 ms on its way back.
    clock.observe(sent_s=200.0, page_s=100.001, received_s=200.082)
    clock.observe(sent_s=201.0, page_s=101.001, received_s=201.002)
    assert clock.to_server(150.0, now_s=201.1) == pytest.approx(250.0, abs=1e-6)
    assert clock.half_trip_s == pytest.approx(0.001)
    assert clock.error_s(201.1) < 0.0011


def test_drift_is_followed_though_later_pings_are_slower() -> None:
    clock, drift = PageClock(), 80e-6
    rng = random.Random(1)  # noqa: S311
    for second in range(600):
        page_s = second * (1 + drift)
        out_s, back_s = rng.uniform(0.001, 0.01), rng.uniform(0.001, 0.01)
        clock.observe(sent_s=second - out_s, page_s=page_s, received_s=second + back_s)
        if second > 10:
            mapped = clock.to_server(page_s, now_s=second + back_s)
            assert abs(mapped - second) <= clock.error_s(second + back_s)
            assert abs(mapped - second) < 0.008


def test_the_capture_clock_is_not_fooled_by_frames_that_come_late() -> None:
    clock = CaptureClock(16_000, input_latency_s=0.01)
    rng = random.Random(2)  # noqa: S311
    for index in range(200):
        end_s = 5.0 + (index + 1) * 0.016
        starts_s = clock.page_s(index * 256, 256, in_hand_s=end_s + rng.choice([0.0, 0.03, 0.2]))
        if index > 20:
            assert starts_s == pytest.approx(5.0 + index * 0.016 - 0.01, abs=0.001)


def test_playback_is_placed_behind_the_furthest_that_was_rendered() -> None:
    clock = PlaybackClock(1000)
    assert not clock.is_known
    # Rendering comes in bursts: 20 to 60 frames ahead of the server's clock.
    for second, ahead in enumerate([20, 60, 30, 25]):
        clock.observe(
            rendered_frame=second * 1000 + ahead,
            at_s=second,
            output_frame=second * 1000,
            output_at_s=second + 0.05,
        )
    assert clock.rendered_frame(10.0) == 10_060
    assert clock.leaves_s(10_000) == pytest.approx(10.05)


def test_the_output_time_is_smoothed_and_a_jump_is_followed_at_once() -> None:
    clock = PlaybackClock(1000)
    rng = random.Random(3)  # noqa: S311
    for tick in range(100):
        jitter_s = rng.uniform(-0.004, 0.004)
        clock.observe(
            rendered_frame=tick * 100,
            at_s=tick / 10,
            output_frame=tick * 100,
            output_at_s=tick / 10 + 0.04 + jitter_s,
        )
    assert clock.leaves_s(10_000) == pytest.approx(10.04, abs=0.002)
    clock.observe(rendered_frame=10_000, at_s=10.0, output_frame=10_000, output_at_s=10.3)
    assert clock.leaves_s(10_000) == pytest.approx(10.3)
