"""Clips in recordings with noise, gain, another rate and a clock that drifts."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from voicebot.acoustic.alignment import MATCH_MIN, align_clip, locate
from voicebot.acoustic.self_test import noise_clip
from voicebot.audio.files import read_audio
from voicebot.bench.callers import load_callers, recorded_callers_dir

RATE_HZ = 48_000
TRUE_END_S = 1.5
AT = 12_345


def speech() -> tuple[np.ndarray, float]:
    """A recorded caller at 48 kHz and where it ends."""
    turn = load_callers(recorded_callers_dir(), limit=1)[0].turns[0]
    samples = soxr.resample(read_audio(turn.path).samples, 16_000, RATE_HZ).astype(np.float32)
    return samples, turn.true_end_s


def recorded(clip: np.ndarray, at: int = AT) -> np.ndarray:
    return np.concatenate((np.zeros(at), clip, np.zeros(30_000))).astype(np.float32)


@pytest.mark.parametrize("gain", [1.0, 0.01, -0.5])
def test_a_clip_is_found_to_the_sample_at_any_gain(gain: float) -> None:
    clip, true_end_s = speech()
    found = align_clip(recorded(clip * gain), clip, RATE_HZ, true_end_s=true_end_s)
    assert found.start == pytest.approx(AT, abs=0.05)
    assert found.true_end == pytest.approx(AT + true_end_s * RATE_HZ, abs=0.05)
    assert found.match == pytest.approx(1.0, abs=1e-3)
    assert found.stretch_ms == pytest.approx(0.0, abs=0.01)


def test_noise_as_loud_as_the_caller_moves_it_by_less_than_a_millisecond() -> None:
    clip, true_end_s = speech()
    noise = np.random.default_rng(1).standard_normal(clip.size + AT + 30_000)
    noisy = recorded(clip) + (noise * np.sqrt(np.mean(clip**2))).astype(np.float32)
    found = align_clip(noisy, clip, RATE_HZ, true_end_s=true_end_s)
    assert abs(found.true_end - (AT + true_end_s * RATE_HZ)) < 48
    assert MATCH_MIN < found.match < 0.95


def test_between_two_samples() -> None:
    clip = np.convolve(noise_clip(RATE_HZ, 3), np.hanning(9) / 4, mode="same").astype(np.float32)
    spectrum = np.fft.rfft(recorded(clip))
    turns = np.exp(-2j * np.pi * np.arange(spectrum.size) / (AT + clip.size + 30_000) * 0.4)
    later = np.fft.irfft(spectrum * turns, AT + clip.size + 30_000).astype(np.float32)
    at, match = locate(later, clip)
    assert at == pytest.approx(AT + 0.4, abs=0.1)
    assert match > 0.95


def test_a_clock_that_drifts_moves_the_start_but_not_the_end() -> None:
    clip, true_end_s = speech()
    drift = 300e-6
    stretched = soxr.resample(clip, RATE_HZ, RATE_HZ * (1 + drift), quality="VHQ")
    found = align_clip(recorded(stretched), clip, RATE_HZ, true_end_s=true_end_s)
    truth = AT + true_end_s * RATE_HZ * (1 + drift)
    assert abs(found.true_end - truth) < 15  # 0.3 ms: what drift makes of half a second
    assert found.match > 0.5


def test_a_dropout_early_in_the_clip_is_told_and_does_not_move_the_end() -> None:
    clip, true_end_s = speech()
    at = clip.size // 4
    torn = np.concatenate((clip[:at], np.zeros(960), clip[at:])).astype(np.float32)
    found = align_clip(recorded(torn), clip, RATE_HZ, true_end_s=true_end_s)
    assert found.true_end == pytest.approx(AT + 960 + true_end_s * RATE_HZ, abs=1.0)


def test_another_recorder_rate_is_no_obstacle() -> None:
    clip, true_end_s = speech()
    at_44k = soxr.resample(recorded(clip), RATE_HZ, 44_100).astype(np.float32)
    same_clip = soxr.resample(clip, RATE_HZ, 44_100).astype(np.float32)
    found = align_clip(at_44k, same_clip, 44_100, true_end_s=true_end_s)
    assert found.true_end / 44_100 == pytest.approx(AT / RATE_HZ + true_end_s, abs=1e-4)


@pytest.mark.parametrize(
    "recording",
    [
        np.zeros(200_000, np.float32),
        np.zeros(10, np.float32),
        np.zeros(0, np.float32),
        np.random.default_rng(2).standard_normal(200_000).astype(np.float32),
    ],
    ids=["silence", "shorter than the clip", "nothing", "noise"],
)
def test_what_does_not_hold_the_clip_does_not_match(recording: np.ndarray) -> None:
    clip, true_end_s = speech()
    assert align_clip(recording, clip, RATE_HZ, true_end_s=true_end_s).match < MATCH_MIN
