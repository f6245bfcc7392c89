"""Noises and short sounds, made of numbers: the same seed gives the same sound. Pure.

All are float32 at 16 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.audio.samples import Samples

__all__ = ["babble", "hum", "level_rms", "noise", "short_sound"]

_SOUND_RMS = 10.0 ** (-24.0 / 20.0)
_FLOOR_DB = 30.0
_WINDOW_S = 0.02
_HUM_HZ = 50.0
_CROSSFADE_S = 0.25


def noise(kind: str, length_s: float, seed: int) -> Samples:
    """White or pink (1/f) noise of RMS 1; its end joins its beginning without a seam."""
    rng = np.random.default_rng(seed)
    count = _count(length_s)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    if kind == "pink":
        frequencies = np.arange(len(spectrum))
        frequencies[0] = 1
        spectrum = spectrum / np.sqrt(frequencies)
    spectrum[0] = 0.0
    return _of_rms_one(np.fft.irfft(spectrum, count))


def hum(length_s: float, seed: int) -> Samples:
    """The mains and its overtones, with a little hiss, of RMS 1."""
    # A whole number of periods, so that the end joins the beginning.
    count = _count(max(1, round(length_s * _HUM_HZ)) / _HUM_HZ)
    time_s = np.arange(count) / INPUT_SAMPLE_RATE_HZ
    overtones = ((1, 1.0), (2, 0.6), (3, 0.4), (5, 0.2), (7, 0.1))
    sound = sum(gain * np.sin(2 * np.pi * _HUM_HZ * times * time_s) for times, gain in overtones)
    hiss = np.random.default_rng(seed).standard_normal(count)
    return _of_rms_one(np.asarray(sound) + 0.05 * hiss)


def babble(voices: Sequence[Samples], length_s: float, seed: int) -> Samples:
    """Several people at once, of RMS 1: each voice over and over, from a place of its own.

    Raises:
        ValueError: there is no voice.
    """
    if not voices:
        raise ValueError("babble needs voices")
    rng = np.random.default_rng(seed)
    count = _count(length_s)
    total = np.zeros(count)
    for voice in voices:
        level = level_rms(voice)
        if level == 0.0 or len(voice) == 0:
            continue
        looped = np.resize(voice, count) / level
        total += np.roll(looped, int(rng.integers(count)))
    return _of_rms_one(total)


def short_sound(name: str, seed: int) -> Samples:
    """One of the short sounds, at about -24 dBFS while it lasts.

    Raises:
        ValueError: there is no such sound.
    """
    rng = np.random.default_rng(seed)
    match name:
        case "cough":
            parts = [_burst(rng, 0.16, 0.05, 300, 3000), np.zeros(_count(0.1))]
            sound = np.concatenate([*parts, _burst(rng, 0.14, 0.05, 400, 2500)])
        case "door":
            sound = _burst(rng, 0.25, 0.06, 40, 400)
        case "cup":
            time_s = np.arange(_count(0.2)) / INPUT_SAMPLE_RATE_HZ
            rings = [np.sin(2 * np.pi * hz * time_s) for hz in (2130, 3410, 5120)]
            sound = np.sum(rings, axis=0) * np.exp(-time_s / 0.04)
        case "rustle":
            sound = _burst(rng, 0.6, 0.3, 1500, 7000)
        case "throat":
            sound = _voiced(rng, 0.25, 95.0)
        case _:
            raise ValueError(f"no sound is called {name}")
    limited: Samples = np.clip(_of_rms_one(sound) * _SOUND_RMS, -0.9, 0.9).astype(np.float32)
    return limited


def level_rms(samples: Samples) -> float:
    """The level of speech: RMS over the windows within 30 dB of the loudest, pauses left out."""
    window = _count(_WINDOW_S)
    count = len(samples) // window
    if count == 0:
        return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    power = np.mean(np.square(samples[: count * window].reshape(count, window)), axis=1)
    loud = power[power > power.max() * 10.0 ** (-_FLOOR_DB / 10.0)]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def _burst(
    rng: np.random.Generator, length_s: float, decay_s: float, low_hz: float, high_hz: float
) -> np.ndarray:
    count = _count(length_s)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies_hz = np.fft.rfftfreq(count, 1.0 / INPUT_SAMPLE_RATE_HZ)
    spectrum[(frequencies_hz < low_hz) | (frequencies_hz > high_hz)] = 0.0
    time_s = np.arange(count) / INPUT_SAMPLE_RATE_HZ
    attack = np.minimum(1.0, time_s / 0.005)
    return np.asarray(np.fft.irfft(spectrum, count) * attack * np.exp(-time_s / decay_s))


def _voiced(rng: np.random.Generator, length_s: float, pitch_hz: float) -> np.ndarray:
    """A voice without words: harmonics under one vowel's formants, and breath."""
    time_s = np.arange(_count(length_s)) / INPUT_SAMPLE_RATE_HZ
    sound = 0.5 * _burst(rng, length_s, length_s, 200, 4000)
    for harmonic in range(1, 30):
        hz = harmonic * pitch_hz
        gain = sum(np.exp(-(((hz - formant) / 150.0) ** 2)) for formant in (500, 1000, 2400))
        drift = hz * (time_s - 0.15 * time_s**2 / length_s)
        sound = sound + (0.02 + gain) * np.sin(2 * np.pi * drift) / harmonic**0.5
    return np.asarray(sound * np.sin(np.pi * time_s / length_s) ** 0.5)


def _of_rms_one(sound: np.ndarray) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(sound))))
    return (sound / rms if rms else sound).astype(np.float32)


def _count(length_s: float) -> int:
    return max(1, round(length_s * INPUT_SAMPLE_RATE_HZ))
