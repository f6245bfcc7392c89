"""Check on the waveform that a Piper voice speaks as docs/synthesis.md says.

    python tools/check_voice.py --model VOICE.onnx [--speaker NAME] [--wav FILE]

A reply of several clauses is spoken and joined as in a conversation. Printed are its level, and
for every join the silence that is heard there beside the one that the punctuation calls for. Each
line says whether it is as it should be; the exit code is 1 if one of them is not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.loudness import audible_spans
from voicebot.engines.piper import PiperTts
from voicebot.engines.piper_config import read_config, voice_facts
from voicebot.engines.speech_joins import JoinPauses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import SpokenWord

_CLAUSES = (
    "Rivers carry water to the sea,",
    "and the sea gives it back to the clouds.",
    "Does it end there?",
    "No.",
    "The wind takes the clouds over the land: they meet the mountains, and there is rain again.",
)
_LEAST_DBFS, _MOST_DBFS = -24.0, -16.0
_MOST_DIFFERENCE_DB = 4.0
_LEAD_MS = 30.0
_INAUDIBLE_STEP = 0.01
_SHORTER_MS, _LONGER_MS = 20.0, 90.0
"""Soft endings are below what counts as heard, so that a pause may seem longer than it is."""


@dataclass(frozen=True, slots=True)
class _Spoken:
    text: str
    samples: Samples
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    what: str
    value: str
    is_good: bool


def _findings(spoken: list[_Spoken], rate_hz: int) -> Iterator[_Finding]:
    whole = np.concatenate([one.samples for one in spoken])
    level = _level_dbfs(whole, rate_hz)
    yield _Finding("level", f"{level:.1f} dBFS", _LEAST_DBFS <= level <= _MOST_DBFS)
    peak = float(np.abs(whole).max(initial=0.0))
    yield _Finding("peak", f"{peak:.2f} of full scale", peak < 1.0)
    levels = [_level_dbfs(one.samples, rate_hz) for one in spoken]
    spread = max(levels) - min(levels)
    yield _Finding("difference of clauses", f"{spread:.1f} dB", spread <= _MOST_DIFFERENCE_DB)
    for before, behind in itertools.pairwise(spoken):
        joined = np.concatenate((before.samples, behind.samples))
        at = len(before.samples)
        spans = audible_spans(joined, rate_hz)
        ends = max((end for _, end in spans if end <= at), default=0)
        begins = min((begin for begin, _ in spans if begin >= ends), default=len(joined))
        gap_ms = (begins - ends) / rate_hz * 1000
        wanted_ms = JoinPauses().behind(before.text)
        yield _Finding(
            f'join behind "{before.text}"',
            f"{gap_ms:.0f} ms of silence, {wanted_ms} wanted",
            wanted_ms - _SHORTER_MS <= gap_ms <= wanted_ms + _LONGER_MS,
        )
        sound = np.flatnonzero(before.samples)
        last = before.samples[sound[-1] - 1 :] if len(sound) else before.samples
        step = float(np.abs(np.concatenate((last, behind.samples[:2]))).max(initial=0.0))
        yield _Finding("  step at it", f"{step:.4f} of full scale", step < _INAUDIBLE_STEP)
    for one in spoken:
        first = next((begin for begin, _ in audible_spans(one.samples, rate_hz)), len(one.samples))
        lead_ms = first / rate_hz * 1000
        if lead_ms > _LEAD_MS:
            yield _Finding(f'silence before "{one.text}"', f"{lead_ms:.0f} ms", is_good=False)
    told = [(word.text_start, word.start_s) for one in spoken for word in one.words]
    wanted = sum(len(one.text.split()) for one in spoken)
    rises = all(a.start_s <= b.start_s for one in spoken for a, b in itertools.pairwise(one.words))
    yield _Finding("words", f"{len(told)} of {wanted} placed", len(told) == wanted and rises)


def _level_dbfs(samples: Samples, rate_hz: int) -> float:
    heard = [samples[begin:end] for begin, end in audible_spans(samples, rate_hz)]
    if not heard:
        return -np.inf
    power = np.square(np.concatenate(heard), dtype=np.float64).mean()
    return float(10 * np.log10(power))


def _speak(tts: PiperTts) -> list[_Spoken]:
    spoken = []
    for text in _CLAUSES:
        chunks = list(tts.synthesise(text, threading.Event()))
        samples = np.concatenate([np.zeros(0, np.float32), *(one.samples for one in chunks)])
        words = tuple(word for one in chunks for word in one.words)
        spoken.append(_Spoken(text, samples, words))
    return spoken


def _main() -> int:
    parser = argparse.ArgumentParser(description="Check a Piper voice on the waveform.")
    parser.add_argument("--model", type=Path, required=True, help="the voice's .onnx file")
    parser.add_argument("--speaker", default="", help="one of its speakers")
    parser.add_argument("--wav", type=Path, help="write what was spoken here")
    arguments = parser.parse_args()
    tts = PiperTts.load(arguments.model, speaker=arguments.speaker)
    weights = voice_facts(read_config(arguments.model), arguments.model).weights
    print(f"{arguments.model.name}: {weights} weights, {tts.sample_rate_hz} Hz, {tts.device}")
    durations = "the voice's own durations" if tts.tells_durations else "an estimate"
    print(f"words are placed by {durations}")
    spoken = _speak(tts)
    findings = list(_findings(spoken, tts.sample_rate_hz))
    for finding in findings:
        print(f"{'ok ' if finding.is_good else 'BAD'} {finding.what}: {finding.value}")
    if arguments.wav:
        import soundfile  # noqa: PLC0415 - only where needed

        whole = np.concatenate([one.samples for one in spoken])
        soundfile.write(arguments.wav, whole, tts.sample_rate_hz)
    return 0 if all(finding.is_good for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(_main())
