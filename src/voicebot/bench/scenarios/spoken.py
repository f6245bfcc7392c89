"""Sentences spoken by a voice of this machine, with labels of where speech is."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import numpy as np
import soxr

from voicebot.audio.loudness import audible_spans
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.scenarios.sounds import level_rms
from voicebot.engines.espeak import EspeakTts
from voicebot.errors import CallersError

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Tts

__all__ = ["speak", "speak_with"]

_SPEECH_RMS = 10.0 ** (-23.0 / 20.0)
_PAUSE = re.compile(r"\|([^|]*)\|")
_LONGEST_PAUSE_S = 10.0


def speak(text: str, voice: str) -> tuple[Samples, tuple[tuple[float, float], ...]]:
    """Speak ``text`` with an eSpeak NG voice; see :func:`speak_with`.

    Raises:
        ConfigError: there is no such voice.
        ModelMissingError: eSpeak NG's library or data is not there.
    """
    tts = EspeakTts(voice)
    try:
        return speak_with(tts, text)
    finally:
        tts.close()


def speak_with(tts: Tts, text: str) -> tuple[Samples, tuple[tuple[float, float], ...]]:
    """Speak ``text``, whose ``|0.6|`` are pauses in seconds.

    Returns:
        Samples, float32 at 16 kHz, whose speech lies at -23 dBFS; and where speech is in seconds,
        a stretch between two pauses. Their ends are those of the sound above -45 dBFS, and they are
        exact, since nothing else is in the recording.

    Raises:
        CallersError: nothing was said before, between or behind pauses, or a pause is no number.
    """
    parts: list[Samples] = []
    speech: list[tuple[float, float]] = []
    length = 0
    for number, piece in enumerate(_PAUSE.split(text)):
        if number % 2:
            made = np.zeros(round(_pause_s(piece) * INPUT_SAMPLE_RATE_HZ), np.float32)
        else:
            made, start, end = _stretch(tts, piece)
            speech.append(
                (
                    round((length + start) / INPUT_SAMPLE_RATE_HZ, 4),
                    round((length + end) / INPUT_SAMPLE_RATE_HZ, 4),
                )
            )
        parts.append(made)
        length += len(made)
    return np.concatenate(parts), tuple(speech)


def _stretch(tts: Tts, text: str) -> tuple[Samples, int, int]:
    """The sound of a stretch, nothing around it, and the samples between which it is audible."""
    chunks = [chunk.samples for chunk in tts.synthesise(text.strip(), threading.Event())]
    if not chunks:
        raise CallersError(
            f"no voice says {text.strip()!r}", "write words on both sides of a pause"
        )
    made = soxr.resample(np.concatenate(chunks), tts.sample_rate_hz, INPUT_SAMPLE_RATE_HZ)
    level = level_rms(made)
    sound = (made * (_SPEECH_RMS / level if level else 1.0)).astype(np.float32)
    spans = audible_spans(sound, INPUT_SAMPLE_RATE_HZ)
    if not spans:
        raise CallersError(
            f"no voice says {text.strip()!r}", "write words on both sides of a pause"
        )
    begin, end = spans[0][0], min(len(sound), spans[-1][1])
    return sound[begin:end], 0, end - begin


def _pause_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds <= _LONGEST_PAUSE_S:
        raise CallersError(
            f"|{text}| is no pause", f"write seconds between bars, up to {_LONGEST_PAUSE_S:g}"
        )
    return seconds
