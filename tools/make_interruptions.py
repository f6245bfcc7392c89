"""Make callers who speak over the bot: real interruptions, acknowledgements and noises.

    python tools/make_interruptions.py FOLDER
    voicebot bench --callers FOLDER

Each caller asks one of the shipped questions and, while the bot answers, says something else
(kind ``interruption``: another shipped turn), says 'okay' or the like (``acknowledgement``: made
with flite as the shipped callers are) or makes a sound (``noise``). Whether the bot was audible at
that moment depends on how fast and how long it answers; ``yield_ms`` is only there if it was.

Needs what ``make_callers.py`` needs. The same seeds give the same recordings.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from make_callers import SAMPLE_RATE_HZ, TAIL_S, Flite, Line, record, room_noise
from voicebot.bench.callers import MANIFEST_NAME, recorded_callers_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["main"]

OPENINGS = (3, 6, 10, 16, 19, 11)
"""Shipped turns, by their numbers, that are answered with more than a word."""
INTERRUPTIONS = (1, 2, 4, 5, 7, 8, 9, 12, 13, 14, 15, 18)
ACKNOWLEDGEMENTS = tuple(
    (voice, text)
    for text in ("okay", "right", "yeah", "oh okay", "i see", "uh huh")
    for voice in ("slt", "rms", "awb")
)
NOISES = ("cough", "door", "cup", "rustle", "throat", "groan")
ONSETS_S = (1.8, 2.1, 1.6, 2.4)
"""After the end of the question; past the time in which it would count as going on with it."""


def cough(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two bursts of noise around 1 kHz."""
    return np.concatenate(
        [_burst(rng, 0.16, 0.05, 300, 3000), np.zeros(1600), _burst(rng, 0.14, 0.05, 400, 2500)]
    )


def noise(name: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """One of ``NOISES`` at about -24 dBFS while it lasts."""
    match name:
        case "cough":
            sound = cough(rng)
        case "door":
            sound = _burst(rng, 0.25, 0.06, 40, 400)
        case "cup":
            time_s = np.arange(round(0.2 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
            rings = [np.sin(2 * np.pi * hz * time_s) for hz in (2130, 3410, 5120)]
            sound = np.sum(rings, axis=0) * np.exp(-time_s / 0.04)
        case "rustle":
            sound = _burst(rng, 0.6, 0.3, 1500, 7000)
        case "throat":
            sound = _voiced(rng, 0.25, 95.0, breath=0.5)
        case _:
            sound = _voiced(rng, 0.35, 120.0, breath=0.1)
    return np.asarray(sound * 10.0 ** (-24.0 / 20.0) / np.sqrt(np.mean(sound**2)))


def _voiced(
    rng: np.random.Generator, length_s: float, pitch_hz: float, breath: float
) -> NDArray[np.float64]:
    """A voice without words: harmonics under one vowel's formants, and breath."""
    time_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sound = breath * _burst(rng, length_s, length_s, 200, 4000)
    for harmonic in range(1, 30):
        hz = harmonic * pitch_hz
        gain = sum(np.exp(-(((hz - formant) / 150.0) ** 2)) for formant in (500, 1000, 2400))
        drift = hz * (time_s - 0.15 * time_s**2 / length_s)
        sound += (0.02 + gain) * np.sin(2 * np.pi * drift) / harmonic**0.5
    return np.asarray(sound * np.sin(np.pi * time_s / length_s) ** 0.5)


def _burst(
    rng: np.random.Generator, length_s: float, decay_s: float, low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    count = round(length_s * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies_hz = np.fft.rfftfreq(count, 1.0 / SAMPLE_RATE_HZ)
    spectrum[(frequencies_hz < low_hz) | (frequencies_hz > high_hz)] = 0.0
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    attack = np.minimum(1.0, time_s / 0.005)
    return np.asarray(np.fft.irfft(spectrum, count) * attack * np.exp(-time_s / decay_s))


def intrusions(folder: Path, shipped: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of what is said over the bot; their recordings are put into ``folder``."""
    for number in INTERRUPTIONS:
        yield {**shipped[number], "kind": "interruption"}
    flite = Flite()
    for number, (voice, text) in enumerate(ACKNOWLEDGEMENTS, start=101):
        recording = record(Line(voice, "acknowledgement", text), number, flite)
        path = folder / recording.row["path"]
        soundfile.write(path, recording.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        yield recording.row
    for number, name in enumerate(NOISES, start=201):
        rng = np.random.default_rng(number)
        lead_s, sound = 0.4, noise(name, rng)
        clip = np.zeros(round((lead_s + TAIL_S) * SAMPLE_RATE_HZ) + sound.size)
        at = round(lead_s * SAMPLE_RATE_HZ)
        clip[at : at + sound.size] += np.clip(sound, -0.9, 0.9)
        clip += room_noise(clip.size, rng)
        path = folder / f"{number}-noise-{name}.flac"
        soundfile.write(path, clip, SAMPLE_RATE_HZ, subtype="PCM_16")
        speech = [lead_s, round(lead_s + sound.size / SAMPLE_RATE_HZ, 3)]
        yield {"path": path.name, "speech": [speech], "kind": "noise"}


def make(folder: Path) -> int:
    """Write the callers; gives how many there are."""
    rows_text = (recorded_callers_dir() / MANIFEST_NAME).read_text("utf-8").splitlines()
    shipped = dict(enumerate((json.loads(row) for row in rows_text), start=1))
    folder.mkdir(parents=True, exist_ok=True)
    for number in {*OPENINGS, *INTERRUPTIONS}:
        name = shipped[number]["path"]
        shutil.copyfile(recorded_callers_dir() / name, folder / name)
    openings, onsets_s = cycle(OPENINGS), cycle(ONSETS_S)
    rows: list[dict[str, Any]] = []
    for second in intrusions(folder, shipped):
        first = shipped[next(openings)]
        conversation = f"over {len(rows) // 2 + 1:02d}"
        silent_s = first["seconds"] - first["speech"][-1][1] + second["speech"][0][0]
        gap_s = round(max(0.0, next(onsets_s) - silent_s), 3)
        rows += [
            {**first, "kind": "opening", "conversation": conversation},
            {**second, "conversation": conversation, "gap_s": gap_s},
        ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return len(rows) // 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the callers in a folder."""
    parser = argparse.ArgumentParser(description="Make callers who speak over the bot.")
    parser.add_argument("folder", type=Path, help="where to; it may exist")
    options = parser.parse_args(arguments)
    print(f"{make(options.folder)} callers in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
