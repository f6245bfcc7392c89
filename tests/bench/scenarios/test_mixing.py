"""Noises, rooms and spoken words, by their levels and lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.audio.loudness import audible_spans
from voicebot.bench.scenarios.rooms import in_room, room_response
from voicebot.bench.scenarios.sounds import babble, hum, level_rms, noise, short_sound
from voicebot.bench.scenarios.spoken import speak
from voicebot.errors import CallersError

RATE = 16_000


def tone(length_s: float, gain: float = 0.1) -> np.ndarray:
    time_s = np.arange(round(length_s * RATE)) / RATE
    return (gain * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


@pytest.mark.parametrize("kind", ["white", "pink"])
def test_noise_is_of_rms_one_and_the_same_for_the_same_seed(kind: str) -> None:
    made = noise(kind, 2.0, 5)
    assert made.dtype == np.float32
    assert np.sqrt(np.mean(made**2)) == pytest.approx(1.0, abs=1e-3)
    assert np.array_equal(made, noise(kind, 2.0, 5))
    assert not np.array_equal(made, noise(kind, 2.0, 6))


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    power = np.abs(np.fft.rfft(noise("pink", 20.0, 1))) ** 2
    hz = np.fft.rfftfreq(20 * RATE, 1 / RATE)
    octaves = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in (200, 400, 800)]
    assert np.diff(octaves) == pytest.approx([-3.0, -3.0], abs=0.3)


def test_noise_can_be_looped_without_a_seam() -> None:
    for made in (noise("pink", 1.0, 0), hum(1.0, 0)):
        steps = np.abs(np.diff(made))
        assert abs(made[0] - made[-1]) <= steps.max() * 1.5


def test_babble_holds_every_voice() -> None:
    voices = [tone(0.5), tone(0.7, 0.01)]
    made = babble(voices, 3.0, 0)
    assert len(made) == 3 * RATE
    assert np.sqrt(np.mean(made**2)) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ValueError, match="voices"):
        babble([], 1.0, 0)


def test_the_level_of_speech_leaves_pauses_out() -> None:
    speech = tone(1.0)
    silent = np.zeros(3 * RATE, np.float32)
    assert level_rms(np.concatenate((speech, silent))) == pytest.approx(level_rms(speech), rel=0.02)
    assert level_rms(np.zeros(0, np.float32)) == 0.0
    assert level_rms(silent) == 0.0


def test_a_sound_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="tuba"):
        short_sound("tuba", 0)


@given(rt60_s=st.floats(0.05, 2.0), direct_db=st.floats(-10, 30), seed=st.integers(0, 99))
def test_a_room_decays_as_told_and_keeps_the_direct_sound_first(
    rt60_s: float, direct_db: float, seed: int
) -> None:
    response = room_response(rt60_s, direct_db, seed)
    assert response[0] == 1.0
    energy = float(np.sum(np.square(response[1:], dtype=np.float64)))
    assert 10 * np.log10(1.0 / energy) == pytest.approx(direct_db, abs=0.05)


def test_an_impulse_in_a_room_is_its_response() -> None:
    impulse = np.zeros(8000, np.float32)
    impulse[100] = 1.0
    response = room_response(0.3, 6.0, 1)
    heard = in_room(impulse, response)
    assert len(heard) == 8000
    assert heard[100 : 100 + len(response)] == pytest.approx(response, abs=1e-5)
    assert np.abs(heard[:100]).max() < 1e-5


def test_words_are_spoken_with_pauses_where_they_stand() -> None:
    samples, speech = speak("tell me |0.6| a joke", "en-us")
    (first_start, first_end), (second_start, second_end) = speech
    assert first_start == 0.0
    assert second_start - first_end == pytest.approx(0.6, abs=0.001)
    assert second_end == pytest.approx(len(samples) / RATE, abs=0.001)
    gap = samples[round(first_end * RATE) : round(second_start * RATE)]
    assert np.abs(gap).max() == 0.0
    assert audible_spans(samples, RATE)[0][0] == 0


@pytest.mark.parametrize("text", ["a |x| b", "a |-1| b", "a |99| b", "|0.5| b", "a |0.5|", "?!"])
def test_words_that_cannot_be_spoken_are_one_line(text: str) -> None:
    with pytest.raises(CallersError):
        speak(text, "en-us")
