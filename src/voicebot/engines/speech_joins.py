"""How stretches of synthesised speech are made ready to follow one another.

Every synthesiser puts silence of its own around what it speaks. Here it is cut off, the edges are
softened so that nothing clicks, and the pause that the punctuation calls for is put behind. All of
it is pure: text and samples in, text and samples out.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.engines.protocols import SpeechChunk, SpokenWord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples

__all__ = [
    "JoinPauses",
    "Stretch",
    "TrimmedSpeech",
    "chunks_of",
    "plain_text",
    "trimmed_speech",
    "word_around",
]

_AUDIBLE_WINDOW_MS = 10
_AUDIBLE_DBFS = -45.0
_LEAD_MS = 5
_FADE_IN_MS = 2
# Soft endings ("...this") fade below what counts as audible, and clipping them is heard.
_END_DBFS = -60.0
_FADE_OUT_MS = 5
_CHUNK_MS = 100
_LAST_LATIN_1 = 0xFF


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
class Stretch:
    """A stretch of speech that is ready to be played: its samples and words, from its own start."""

    samples: Samples
    words: list[SpokenWord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrimmedSpeech:
    """Speech without the silence around it.

    Attributes:
        samples: shape (n,), float32, with soft edges; none if nothing was audible.
        begin: how many samples were cut off its start.
    """

    samples: Samples
    begin: int


def trimmed_speech(
    samples: Samples, sample_rate_hz: int, *, trim: bool = True, end_dbfs: float = _END_DBFS
) -> TrimmedSpeech:
    """Cut off the silence around speech and soften its edges.

    Args:
        samples: shape (n,), float32.
        sample_rate_hz: their rate.
        trim: whether the start is cut, too; only measurements do without.
        end_dbfs: the level (RMS of 10 ms) below which its end counts as silent.
    """
    window = _count(_AUDIBLE_WINDOW_MS, sample_rate_hz)
    first, _ = _loud_range(samples, window, _AUDIBLE_DBFS)
    _, last = _loud_range(samples, window, end_dbfs)
    if first is None or last is None:
        return TrimmedSpeech(np.zeros(0, np.float32), 0)
    begin = 0
    if trim and first:
        # The first loud window has its sound at its end: the lead is counted from there.
        begin = max(0, first + window - _count(_LEAD_MS, sample_rate_hz))
    spoken = samples[begin:last].copy()
    fade_in = min(_count(_FADE_IN_MS, sample_rate_hz), len(spoken))
    fade_out = min(_count(_FADE_OUT_MS, sample_rate_hz), len(spoken))
    spoken[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)
    spoken[len(spoken) - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)
    return TrimmedSpeech(spoken, begin)


def chunks_of(stretch: Stretch, offset_samples: int, sample_rate_hz: int) -> Iterator[SpeechChunk]:
    """``stretch`` in chunks of 100 ms, each with the words that begin in it.

    Args:
        stretch: what is to be played.
        offset_samples: how many samples of the same clause come before it.
        sample_rate_hz: the rate of its samples.
    """
    size = _count(_CHUNK_MS, sample_rate_hz)
    offset_s = offset_samples / sample_rate_hz
    for begin in range(0, len(stretch.samples), size):
        words = tuple(
            SpokenWord(word.text_start, word.text_end, word.start_s + offset_s)
            for word in stretch.words
            if begin <= round(word.start_s * sample_rate_hz) < begin + size
        )
        yield SpeechChunk(stretch.samples[begin : begin + size], words)


def plain_text(text: str) -> str:
    """The text with a space for every character that is no text, at unchanged positions."""
    return "".join(character if _is_text(character) else " " for character in text)


def word_around(text: str, index: int, low: int, high: int) -> tuple[int, int] | None:
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


def _count(ms: float, sample_rate_hz: int) -> int:
    return round(ms * sample_rate_hz / 1000)


def _is_text(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "So":
        # eSpeak NG would read out an emoji's name; signs such as ° stand in Latin-1.
        return ord(character) <= _LAST_LATIN_1
    return category not in {"Cc", "Cs", "Cn", "Co"}


def _loud_range(samples: Samples, window: int, dbfs: float) -> tuple[int | None, int | None]:
    """Where the first window above ``dbfs`` (RMS) begins and where the last one ends."""
    if len(samples) < window:
        return None, None
    power = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    loud = np.flatnonzero((power[window:] - power[:-window]) / window > 10 ** (dbfs / 10))
    return (int(loud[0]), int(loud[-1]) + window) if len(loud) else (None, None)
