"""Speech by eSpeak NG: not pretty, but there in a millisecond and in many languages.

The library makes a second of speech in about 2 ms, within one blocking call. So a text is cut where
the library itself would pause, each stretch is made at once, and its audio is yielded before the
next one is made: the first chunk is there after one stretch, ``stop`` is looked at within it, and
no thread has to be handed over to. Between two stretches no state of the library is held, so
engines may take turns at any point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.engines.espeak_library import EspeakSettings, RawSpeech, espeak_library
from voicebot.engines.protocols import SpokenWord
from voicebot.engines.speech_cuts import PAUSE
from voicebot.engines.speech_joins import (
    JoinPauses,
    Stretch,
    chunks_of,
    plain_text,
    trimmed_speech,
    word_around,
)
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.engines.espeak_library import EspeakVoice
    from voicebot.engines.protocols import SpeechChunk, StopFlag

__all__ = ["EspeakTts"]

_MIN_STRETCH_CHARACTERS = 24
_MAX_STRETCH_CHARACTERS = 160


class EspeakTts:
    """The eSpeak NG engine (``Tts``).

    Args:
        voice: any voice name or language the library knows ("en-us", "de", "en-us+f3").
        rate_wpm: words a minute, 80 to 450.
        pitch: 0 (low) to 99 (high).
        volume: 1 to 100 percent of full level, at which speech peaks below full scale.
        pauses: the silence behind stretches of speech.
        trim: whether the library's own silence around a stretch is cut off; only measurements do
            without.

    Raises:
        ConfigError: no such voice, or a number out of range.
        ModelMissingError: the library or its data is not there.
    """

    def __init__(
        self,
        voice: str = "en-us",
        *,
        rate_wpm: int = 175,
        pitch: int = 50,
        volume: int = 100,
        pauses: JoinPauses | None = None,
        trim: bool = True,
    ) -> None:
        _check_range("rate_wpm", rate_wpm, 80, 450)
        _check_range("pitch", pitch, 0, 99)
        _check_range("volume", volume, 1, 100)
        self._library = espeak_library()
        self._settings = EspeakSettings(voice, rate_wpm, pitch, volume)
        self._library.check(self._settings)
        self._pauses = pauses or JoinPauses()
        self._trim = trim

    @property
    def sample_rate_hz(self) -> int:
        """The rate of every chunk it makes."""
        return self._library.sample_rate_hz

    @staticmethod
    def voices() -> tuple[EspeakVoice, ...]:
        """The voices there are, by language.

        Raises:
            ModelMissingError: the library or its data is not there.
        """
        return espeak_library().voices()

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        """Speak ``text``, in chunks of 100 ms; nothing if it holds no word.

        ``words`` are what stands between spaces in ``text``, without outer punctuation; a word
        that the library says in one breath with the one before it ("of the") has no entry.

        Raises:
            EngineError: the library refused.
        """
        plain = plain_text(text)
        offset_samples = 0
        for start, end in _stretches(plain):
            if stop.is_set():
                return
            raw = self._library.speak(plain[start:end], self._settings, stop)
            stretch = self._ready(raw, plain, start, end)
            if stop.is_set():
                return
            for chunk in chunks_of(stretch, offset_samples, self.sample_rate_hz):
                if stop.is_set():
                    return
                yield chunk
            offset_samples += len(stretch.samples)

    def close(self) -> None:
        """Nothing to free: the library is shared and stays for the process."""

    def _ready(self, raw: RawSpeech, text: str, start: int, end: int) -> Stretch:
        """Trim silence, soften the edges, add the pause, and place the words."""
        rate_hz = self.sample_rate_hz
        samples = raw.samples.astype(np.float32) / np.float32(32768)
        spoken = trimmed_speech(samples, rate_hz, trim=self._trim)
        if not len(spoken.samples):
            return Stretch(spoken.samples)
        pause_ms = self._pauses.behind(text[start:end])
        pause = np.zeros(round(pause_ms * rate_hz / 1000), np.float32)
        words: list[SpokenWord] = []
        for event in raw.words:
            span = word_around(text, start + event.text_index, start, end)
            # One number is several events; events inside a word belong to it.
            if span is None or (words and span[0] < words[-1].text_end):
                continue
            sample = min(max(event.sample - spoken.begin, 0), len(spoken.samples) - 1)
            words.append(SpokenWord(*span, sample / rate_hz))
        return Stretch(np.concatenate((spoken.samples, pause)), words)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"eSpeak NG's {name} is {value}", f"choose {low} to {high}")


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where to cut: at pauses, or at a space if there is none for long; only what has words."""
    start = 0
    while start < len(text):
        end = min(start + _MAX_STRETCH_CHARACTERS, len(text))
        pauses = PAUSE.finditer(text, start, end)
        cut = next((p.end() for p in pauses if p.end() - start >= _MIN_STRETCH_CHARACTERS), None)
        if cut is None and end < len(text):
            cut = text.rfind(" ", start, end) + 1
        if cut is None or cut <= start:
            cut = end
        if any(character.isalnum() for character in text[start:cut]):
            yield start, cut
        start = cut
