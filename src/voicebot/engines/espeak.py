"""Speech by eSpeak NG: not pretty, but there in a millisecond and in many languages.

The library makes a second of speech in about 2 ms, within one blocking call. So a text is cut where
the library itself would pause, each stretch is made at once, and its audio is yielded before the
next one is made: the first chunk is there after one stretch, ``stop`` is looked at within it, and
no thread has to be handed over to. Between two stretches no state of the library is held, so
engines may take turns at any point.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.engines.espeak_library import EspeakSettings, RawSpeech, espeak_library
from voicebot.engines.protocols import SpeechChunk, SpokenWord
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples
    from voicebot.engines.espeak_library import EspeakVoice
    from voicebot.engines.protocols import StopFlag

__all__ = ["EspeakTts", "JoinPauses"]

_AUDIBLE_WINDOW_MS = 10
_AUDIBLE_DBFS = -45.0
_LEAD_MS = 5
_FADE_IN_MS = 2
# Soft endings ("...this") fade below what counts as audible, and clipping them is heard.
_END_DBFS = -60.0
_FADE_OUT_MS = 5
_CHUNK_MS = 100
_MIN_STRETCH_CHARACTERS = 24
_MAX_STRETCH_CHARACTERS = 160
_LAST_LATIN_1 = 0xFF
_PAUSE = re.compile(r"[.,;:!?…]+[\"'”’)\]]*(?=\s)|[。！？，、；：]+[”’」』）]*")  # noqa: RUF001 - CJK


@dataclass(frozen=True, slots=True)
class JoinPauses:
    """The silence behind a stretch of speech, in ms, by the punctuation that ends it."""

    sentence_ms: int = 300
    clause_ms: int = 160
    comma_ms: int = 110
    none_ms: int = 20

    def behind(self, text: str) -> int:
        """The pause in ms that belongs behind ``text``."""
        last = text.rstrip(" \t\r\n\"'”’)]」』）")[-1:]  # noqa: RUF001 - CJK brackets
        if not last:
            return self.none_ms
        if last in ".!?…。！？":  # noqa: RUF001 - CJK punctuation
            return self.sentence_ms
        if last in ";:；：—–":  # noqa: RUF001 - CJK punctuation and dashes
            return self.clause_ms
        return self.comma_ms if last in ",，、" else self.none_ms  # noqa: RUF001 - ditto


@dataclass(slots=True)
class _Stretch:
    """A stretch of speech that is ready to be played: its samples and words, from its own start."""

    samples: Samples
    words: list[SpokenWord] = field(default_factory=list)


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
        plain = _plain(text)
        offset_samples = 0
        for start, end in _stretches(plain):
            if stop.is_set():
                return
            raw = self._library.speak(plain[start:end], self._settings, stop)
            stretch = self._ready(raw, plain, start, end)
            if stop.is_set():
                return
            for chunk in self._chunks(stretch, offset_samples):
                if stop.is_set():
                    return
                yield chunk
            offset_samples += len(stretch.samples)

    def close(self) -> None:
        """Nothing to free: the library is shared and stays for the process."""

    def _samples(self, ms: float) -> int:
        return round(ms * self.sample_rate_hz / 1000)

    def _ready(self, raw: RawSpeech, text: str, start: int, end: int) -> _Stretch:
        """Trim silence, soften the edges, add the pause, and place the words."""
        samples = raw.samples.astype(np.float32) / np.float32(32768)
        window = self._samples(_AUDIBLE_WINDOW_MS)
        first, _ = _loud_range(samples, window, _AUDIBLE_DBFS)
        _, last = _loud_range(samples, window, _END_DBFS)
        if first is None or last is None:
            return _Stretch(np.zeros(0, np.float32))
        # The first loud window has its sound at its end: the lead is counted from there.
        begin = (
            0
            if not self._trim
            else max(0, first + window - self._samples(_LEAD_MS))
            if first
            else 0
        )
        spoken = samples[begin:last].copy()
        fade_in = min(self._samples(_FADE_IN_MS), len(spoken))
        fade_out = min(self._samples(_FADE_OUT_MS), len(spoken))
        spoken[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)
        spoken[len(spoken) - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)
        pause = np.zeros(self._samples(self._pauses.behind(text[start:end])), np.float32)
        words: list[SpokenWord] = []
        for event in raw.words:
            span = _word_around(text, start + event.text_index, start, end)
            # One number is several events; events inside a word belong to it.
            if span is None or (words and span[0] < words[-1].text_end):
                continue
            sample = min(max(event.sample - begin, 0), len(spoken) - 1)
            words.append(SpokenWord(*span, sample / self.sample_rate_hz))
        return _Stretch(np.concatenate((spoken, pause)), words)

    def _chunks(self, stretch: _Stretch, offset_samples: int) -> Iterator[SpeechChunk]:
        size = self._samples(_CHUNK_MS)
        offset_s = offset_samples / self.sample_rate_hz
        for begin in range(0, len(stretch.samples), size):
            words = tuple(
                SpokenWord(word.text_start, word.text_end, word.start_s + offset_s)
                for word in stretch.words
                if begin <= round(word.start_s * self.sample_rate_hz) < begin + size
            )
            yield SpeechChunk(stretch.samples[begin : begin + size], words)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"eSpeak NG's {name} is {value}", f"choose {low} to {high}")


def _plain(text: str) -> str:
    """The text with a space for every character that is no text, at unchanged positions."""
    return "".join(character if _is_text(character) else " " for character in text)


def _is_text(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "So":
        # The library would read out an emoji's name; signs such as ° stand in Latin-1.
        return ord(character) <= _LAST_LATIN_1
    return category not in {"Cc", "Cs", "Cn", "Co"}


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where to cut: at pauses, or at a space if there is none for long; only what has words."""
    start = 0
    while start < len(text):
        end = min(start + _MAX_STRETCH_CHARACTERS, len(text))
        pauses = _PAUSE.finditer(text, start, end)
        cut = next((p.end() for p in pauses if p.end() - start >= _MIN_STRETCH_CHARACTERS), None)
        if cut is None and end < len(text):
            cut = text.rfind(" ", start, end) + 1
        if cut is None or cut <= start:
            cut = end
        if any(character.isalnum() for character in text[start:cut]):
            yield start, cut
        start = cut


def _word_around(text: str, index: int, low: int, high: int) -> tuple[int, int] | None:
    """The word within [low, high) that holds ``index``, without punctuation around it."""
    if not low <= index < high:
        return None
    start, end = index, index
    while start > low and not text[start - 1].isspace():
        start -= 1
    while end < high and not text[end].isspace():
        end += 1
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return (start, end) if start < end else None


def _loud_range(samples: Samples, window: int, dbfs: float) -> tuple[int | None, int | None]:
    """Where the first window above ``dbfs`` (RMS) begins and where the last one ends."""
    if len(samples) < window:
        return None, None
    power = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    loud = np.flatnonzero((power[window:] - power[:-window]) / window > 10 ** (dbfs / 10))
    return (int(loud[0]), int(loud[-1]) + window) if len(loud) else (None, None)
