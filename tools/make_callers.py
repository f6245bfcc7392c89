"""Make the callers that ship with voicebot: sentences spoken by flite, with exact labels.

    python tools/make_callers.py           writes src/voicebot/bench/recorded/
    python tools/make_callers.py --check   makes them elsewhere and compares labels and lengths

Needs flite 2.2 as shared libraries (Debian: ``apt-get install flite``) and no model. flite is
called through its C interface because only that tells where each word lies in the waveform. The
same sentences, voices and seeds give the same recordings.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import soundfile

from voicebot.bench.callers import MANIFEST_NAME, recorded_callers_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["main"]

SAMPLE_RATE_HZ = 16_000
SOURCE = "synthesised with flite 2.2, voice {voice}"
LICENCE = "BSD-style (CMU Flite); see README.md"

QUIETEST_SPEECH_DB = -30.0
"""A window this far below the level of the sentence is no longer speech."""
WINDOW_S = 0.005
STEP_S = 0.001
MARGIN_S = 0.04
"""What is kept of the synthesised sound on either side of the speech, faded."""
FADE_S = 0.02
CUT_FADE_S = 0.005
CUT_SEARCH_S = 0.02
"""A pause is cut at the quietest instant this close to the boundary between the words."""
TAIL_S = 0.5
LOWEST_HZ = 60.0
NOISE_DBFS = -65.0
TOLERANCE_S = 0.002


@dataclass(frozen=True, slots=True)
class Line:
    """A turn to be made; ``|`` in the text is where the speaker pauses for ``pause_s``."""

    voice: str
    kind: str
    text: str
    pause_s: float = 0.0
    conversation: str = ""


LINES = (
    Line("slt", "question", "how many days are there in a week"),
    Line("rms", "question", "how many minutes are there in an hour"),
    Line("awb", "question", "how do you make a cup of tea"),
    Line("slt", "question", "what is the largest planet"),
    Line("rms", "question", "who was the first president of the united states"),
    Line("awb", "question", "when is the best time to plant tomatoes"),
    Line("slt", "question", "what is the fastest animal in the world"),
    Line("rms", "question", "how does a telephone work"),
    Line("awb", "question", "how long does it take to boil an egg"),
    Line("awb", "question", "why do birds sing"),
    Line("slt", "command", "give me some advice about money"),
    Line("rms", "command", "count from one to five"),
    Line("awb", "command", "name two large cities in europe"),
    Line("slt", "command", "give me three ideas for dinner"),
    Line("rms", "command", "recommend a good book for children"),
    Line("awb", "command", "tell me something about the moon"),
    Line("slt", "command", "name an animal that lives in africa"),
    Line("rms", "command", "name three kinds of fruit"),
    Line("awb", "command", "describe a beautiful morning"),
    Line("slt", "pause", "give me a good reason | to get up early in the morning", 0.4),
    Line("rms", "pause", "tell me about the history | of the telephone", 0.5),
    Line("awb", "pause", "can you tell me what | the moon is made of", 0.7),
    Line("slt", "pause", "which country has the most people | in the world", 0.8),
    Line("rms", "pause", "what is the name of | the largest ocean on earth", 1.0),
    Line("awb", "pause", "which country has | the most people in the world", 1.2),
    Line("slt", "exchange", "what is the capital of france", conversation="france"),
    Line("slt", "exchange", "and how many people live there", conversation="france"),
    Line("rms", "exchange", "what is a good present for my mother", conversation="present"),
    Line("rms", "exchange", "and what about my father", conversation="present"),
    Line("awb", "exchange", "tell me about the history of the telephone", conversation="telephone"),
    Line("awb", "exchange", "can you make it shorter", conversation="telephone"),
    Line("slt", "exchange", "what can you tell me about italy", conversation="italy"),
    Line("slt", "exchange", "what language do they speak there", conversation="italy"),
)


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """What flite made: the waveform, float64 in ±1, and each word's start and end by its phones."""

    samples: NDArray[np.float64]
    words: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished caller's turn and its row of the manifest."""

    samples: NDArray[np.float64]
    row: dict[str, Any]
    phone_end_lag_s: float
    """How much later the speech ends by energy than by flite's last phone."""


class _Wave(ctypes.Structure):
    """``cst_wave`` of flite's ``cst_wave.h``."""

    _fields_: ClassVar = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class Flite:
    """flite's C interface, as far as it is needed here."""

    def __init__(self) -> None:
        # The voices look for flite's own symbols among the global ones.
        for name in ("libflite", "libflite_cmulex", "libflite_usenglish"):
            ctypes.CDLL(f"{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL("libflite.so.1")
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", pointer, [text, pointer]),
            ("utt_relation", pointer, [pointer, text]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("utt_wave", ctypes.POINTER(_Wave), [pointer]),
            ("ffeature_string", text, [pointer, text]),
            ("ffeature_float", ctypes.c_float, [pointer, text]),
            ("delete_utterance", None, [pointer]),
        ):
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        library.flite_init()
        self._library = library

    @functools.lru_cache  # noqa: B019 - one instance lives as long as the program
    def _voice(self, name: str) -> int:
        register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
        register.restype = ctypes.c_void_p
        register.argtypes = [ctypes.c_void_p]
        return int(register(None))

    def say(self, voice: str, text: str) -> SpokenLine:
        """Synthesise ``text``."""
        flite = self._library
        utterance = flite.flite_synth_text(text.encode(), self._voice(voice))
        try:
            wave = flite.utt_wave(utterance).contents
            if wave.sample_rate != SAMPLE_RATE_HZ or wave.num_channels != 1:
                sys.exit(f"voice {voice} does not speak at {SAMPLE_RATE_HZ} Hz")
            pcm = np.ctypeslib.as_array(wave.samples, (wave.num_samples,))
            words = []
            item = flite.relation_head(flite.utt_relation(utterance, b"Word"))
            while item:
                phones = b"R:SylStructure.daughter%s.daughter%s.R:Segment.%s"
                words.append(
                    (
                        flite.ffeature_string(item, b"name").decode(),
                        float(flite.ffeature_float(item, phones % (b"1", b"1", b"p.end"))),
                        float(flite.ffeature_float(item, phones % (b"n", b"n", b"end"))),
                    )
                )
                item = flite.item_next(item)
            return SpokenLine(without_rumble(pcm.astype(np.float64) / 32_768.0), tuple(words))
        finally:
            flite.delete_utterance(utterance)


def without_rumble(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """``samples`` without what lies below speech: some voices drift off zero while they speak."""
    spectrum = np.fft.rfft(samples)
    frequencies_hz = np.fft.rfftfreq(samples.size, 1.0 / SAMPLE_RATE_HZ)
    spectrum *= np.clip((frequencies_hz - LOWEST_HZ / 2) / (LOWEST_HZ / 2), 0.0, 1.0)
    return np.asarray(np.fft.irfft(spectrum, samples.size))


def speech_level(spoken: SpokenLine) -> float:
    """RMS level (linear) of the samples from the first phone to the end of the last."""
    first, last = (round(t * SAMPLE_RATE_HZ) for t in (spoken.words[0][1], spoken.words[-1][2]))
    return float(np.sqrt(np.mean(spoken.samples[first:last] ** 2)))


def speech_bounds(samples: NDArray[np.float64], level: float) -> tuple[int, int]:
    """The samples at which the speech starts and ends: the definition behind all labels.

    It starts with the first window of 5 ms whose RMS is less than 30 dB below ``level`` and ends
    behind the last one. Windows follow each other in steps of 1 ms.
    """
    size, step = round(WINDOW_S * SAMPLE_RATE_HZ), round(STEP_S * SAMPLE_RATE_HZ)
    energy = np.concatenate(([0.0], np.cumsum(samples**2)))
    rms = np.sqrt((energy[size:] - energy[:-size])[::step] / size)
    loud = np.flatnonzero(rms > level * 10.0 ** (QUIETEST_SPEECH_DB / 20.0))
    return int(loud[0]) * step, int(loud[-1]) * step + size


def fade(samples: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """``samples`` faded in and out."""
    count = round(duration_s * SAMPLE_RATE_HZ)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    faded = samples.copy()
    faded[:count] *= ramp
    faded[-count:] *= ramp[::-1]
    return faded


def room_noise(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls with frequency, as a quiet room's does, at ``NOISE_DBFS`` RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies_hz = np.fft.rfftfreq(count, 1.0 / SAMPLE_RATE_HZ)
    spectrum *= 1.0 / np.sqrt(np.maximum(frequencies_hz, 100.0))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise * 10.0 ** (NOISE_DBFS / 20.0) / np.sqrt(np.mean(noise**2)))


def quietest_near(samples: NDArray[np.float64], at_s: float) -> int:
    """The sample with the least energy around it, close to ``at_s``."""
    half = round(WINDOW_S / 2 * SAMPLE_RATE_HZ)
    around = range(
        round((at_s - CUT_SEARCH_S) * SAMPLE_RATE_HZ), round((at_s + CUT_SEARCH_S) * SAMPLE_RATE_HZ)
    )
    return min(around, key=lambda i: float(np.sum(samples[i - half : i + half] ** 2)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the synthesised sound without a pause, and where it comes to lie.

    Attributes:
        start, end: its samples in the synthesised sound.
        speech_start, speech_end: its speech, as indices of the synthesised sound.
        shift: what to add to such an index to get one of the clip.
    """

    start: int
    end: int
    speech_start: int
    speech_end: int
    shift: int

    def clip_s(self, sound_s: float) -> float:
        """The instant in the clip, in seconds, kept within the piece's speech."""
        kept = min(max(sound_s * SAMPLE_RATE_HZ, self.speech_start), self.speech_end)
        return round((kept + self.shift) / SAMPLE_RATE_HZ, 3)

    @property
    def speech_s(self) -> list[float]:
        """Start and end of its speech in the clip."""
        return [self.clip_s(edge / SAMPLE_RATE_HZ) for edge in (self.speech_start, self.speech_end)]


def lay_out(
    sound: NDArray[np.float64], level: float, lead_s: float, cut: int | None, pause_s: float
) -> list[Piece]:
    """Where the sound goes: speech after the lead, a pause of exactly ``pause_s`` at the cut."""
    margin = round(MARGIN_S * SAMPLE_RATE_HZ)
    start, end = speech_bounds(sound, level)
    first, last = max(0, start - margin), min(sound.size, end + margin)
    edges = [first, last] if cut is None else [first, cut, last]
    pieces: list[Piece] = []
    for piece_start, piece_end in pairwise(edges):
        low, high = speech_bounds(sound[piece_start:piece_end], level)
        speech_start, speech_end = piece_start + low, piece_start + high
        if pieces:
            before = pieces[-1]
            speech_at = before.speech_end + before.shift + round(pause_s * SAMPLE_RATE_HZ)
        else:
            speech_at = round(lead_s * SAMPLE_RATE_HZ)
        shift = speech_at - speech_start
        pieces.append(Piece(piece_start, piece_end, speech_start, speech_end, shift))
    return pieces


def record(line: Line, number: int, flite: Flite) -> Recording:
    """Make one turn: lead, speech, perhaps a pause and more speech, tail; room noise over all."""
    rng = np.random.default_rng(number)
    lead_s = float(rng.uniform(0.3, 0.6))
    level_dbfs = round(float(rng.uniform(-26.0, -18.0)), 1)
    spoken = flite.say(line.voice, " ".join(line.text.replace("|", " ").split()))
    level = 10.0 ** (level_dbfs / 20.0)
    sound = spoken.samples * (level / speech_level(spoken))

    words_before_pause = len(line.text.partition("|")[0].split())
    cut = None
    if line.pause_s:
        cut = quietest_near(sound, spoken.words[words_before_pause - 1][2])
    pieces = lay_out(sound, level, lead_s, cut, line.pause_s)

    last = pieces[-1]
    clip = np.zeros(last.speech_end + last.shift + round(TAIL_S * SAMPLE_RATE_HZ))
    for piece in pieces:
        fade_s = CUT_FADE_S if line.pause_s else FADE_S
        clip[piece.start + piece.shift : piece.end + piece.shift] += fade(
            sound[piece.start : piece.end], fade_s
        )
    clip += room_noise(clip.size, rng)

    words: list[list[Any]] = []
    for index, (word, start_s, end_s) in enumerate(spoken.words):
        piece = pieces[0] if index < words_before_pause else last
        words.append([word, piece.clip_s(start_s), piece.clip_s(end_s)])
    speech = [piece.speech_s for piece in pieces]
    # By its phones a word may begin or end a little inside the speech it opens or closes.
    words[0][1], words[-1][2] = speech[0][0], speech[-1][1]
    if line.pause_s:
        words[words_before_pause - 1][2], words[words_before_pause][1] = speech[0][1], speech[1][0]

    text = " ".join(word for word, _, _ in spoken.words)
    row: dict[str, Any] = {
        "path": f"{number:02d}-{line.kind}-{'-'.join(text.split()[:5])}-{line.voice}.flac",
        "seconds": round(clip.size / SAMPLE_RATE_HZ, 3),
        "speech": speech,
        "text": text,
        "words": words,
        "speaker": f"flite-{line.voice}",
        "kind": line.kind,
    }
    if line.pause_s:
        row["pause_s"] = line.pause_s
    if line.conversation:
        row["conversation"] = line.conversation
    row |= {
        "level_dbfs": level_dbfs,
        "source": SOURCE.format(voice=line.voice),
        "licence": LICENCE,
    }
    end_by_energy_s = last.speech_end / SAMPLE_RATE_HZ
    return Recording(clip, row, end_by_energy_s - spoken.words[-1][2])


def make(folder: Path) -> list[Recording]:
    """Make all turns and their manifest in ``folder``."""
    flite = Flite()
    recordings = [record(line, number, flite) for number, line in enumerate(LINES, start=1)]
    for old in folder.glob("*.flac"):
        old.unlink()
    for recording in recordings:
        path = folder / recording.row["path"]
        soundfile.write(path, recording.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    rows = "".join(json.dumps(recording.row) + "\n" for recording in recordings)
    (folder / MANIFEST_NAME).write_text(rows, encoding="utf-8")
    return recordings


def differences(shipped: Path, made: Path) -> list[str]:
    """What the labels and lengths in two folders do not agree on."""
    before, after = (
        [json.loads(row) for row in (folder / MANIFEST_NAME).read_text("utf-8").splitlines()]
        for folder in (shipped, made)
    )
    if [row["path"] for row in before] != [row["path"] for row in after]:
        return ["the recordings have other names"]
    found = []
    for old, new in zip(before, after, strict=True):
        name = old["path"]
        frames = [soundfile.info(folder / name).frames for folder in (shipped, made)]
        apart_s = abs(frames[0] - frames[1]) / SAMPLE_RATE_HZ
        old_s, new_s = (np.ravel(row["speech"]) for row in (old, new))
        if old_s.shape != new_s.shape or max(apart_s, *np.abs(old_s - new_s)) > TOLERANCE_S:
            found.append(f"{name}: other labels or another length")
        timings = ("speech", "words", "seconds")
        if any(old.get(key) != new.get(key) for key in {*old, *new} - {*timings}):
            found.append(f"{name}: other facts in its row")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the callers, or check those that are there."""
    parser = argparse.ArgumentParser(description="Make the callers that ship with voicebot.")
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    options = parser.parse_args(arguments)
    shipped = recorded_callers_dir()
    if options.check:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            found = differences(shipped, Path(folder))
        print("\n".join(found) or "labels and lengths agree")
        return 1 if found else 0
    shipped.mkdir(exist_ok=True)
    recordings = make(shipped)
    size = sum(path.stat().st_size for path in shipped.glob("*.flac"))
    lags_ms = np.array([recording.phone_end_lag_s * 1000.0 for recording in recordings])
    print(f"{len(recordings)} recordings, {size / 1e6:.2f} MB")
    print(
        "the speech ends by energy later than by flite's last phone: "
        f"median {np.median(lags_ms):.0f} ms, {lags_ms.min():.0f} to {lags_ms.max():.0f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
