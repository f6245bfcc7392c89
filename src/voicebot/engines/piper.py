"""Speech by Piper: neural voices, a whole utterance at once.

Nothing of an utterance is heard before all of it is made. So a clause is made in stretches
(``speech_cuts.py``): the first one short, the next ones while it is heard. Each is trimmed and
joined to the next as for every synthesiser (``speech_joins.py``).

piper-tts can scale each utterance to full level; then a short one would be as loud as its loudest
sound allows, and levels would jump from clause to clause. Here one gain holds for the voice: it is
measured at load so that speech is as loud as eSpeak NG's, and the few peaks above are rounded off.
"""

from __future__ import annotations

import difflib
import functools
from typing import TYPE_CHECKING

import numpy as np

from voicebot.engines.piper_voice import LoadedPiperVoice, Manner
from voicebot.engines.protocols import SpokenWord
from voicebot.engines.speech_cuts import Cut, CutRules, cut_into_stretches
from voicebot.engines.speech_joins import (
    JoinPauses,
    Stretch,
    chunks_of,
    plain_text,
    trimmed_speech,
)
from voicebot.engines.spoken_words import estimated_lengths, phoneme_index_of_words, word_spans
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voicebot.audio.samples import Samples
    from voicebot.engines.piper_config import PiperVoiceFacts
    from voicebot.engines.piper_voice import Device
    from voicebot.engines.protocols import SpeechChunk, StopFlag

__all__ = ["PiperTts"]

_SLOWEST, _FASTEST = 0.5, 2.0
_MOST_VARIATION = 2.0
_SPEECH_DBFS = -20.0
"""The level of speech (RMS over what is audible) that voices are brought to: eSpeak NG's."""
_LEAST_GAIN, _MOST_GAIN = 0.1, 10.0
_KNEE = 0.8
_PAUSE_SHARE = 10 ** (-30 / 10)
"""What has less power than this share of the loudest 10 ms is a pause."""
# A voice's breath behind its last sound is louder than silence, and no part of the pause.
_END_DBFS = -50.0
_MAX_PHONEMES = 320
"""Most phonemes of one utterance, about 20 s: texts may hide long numbers."""
_READ_AS_COMMA = str.maketrans({"…": ",", "[": " ", "]": " "})
_WORDS_KEPT = 2048
# Digits are read out in every language.
_WARM_UP_TEXTS = ("1.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.")


class PiperTts:
    """The Piper engine (``Tts``).

    Args:
        voice: the voice, loaded; closed with the engine.
        speaker: the name of one of its speakers, or a number; empty for the voice's own choice.
        speed: 0.5 to 2; 1 is the voice's own.
        variation: how much the sound varies, 0 to 2; None is the voice's own.
        rhythm_variation: how much the rhythm varies, 0 to 2; None is the voice's own.
        pauses: the silence behind stretches of speech, at speed 1.
        cuts: how a clause is cut into stretches.
        trim: whether the voice's own silence around a stretch is cut off; only measurements do
            without.

    Raises:
        ConfigError: there is no such speaker, or a number is out of range.
        EngineError: the voice fails at its first words.
    """

    def __init__(
        self,
        voice: LoadedPiperVoice,
        *,
        speaker: str = "",
        speed: float = 1.0,
        variation: float | None = None,
        rhythm_variation: float | None = None,
        pauses: JoinPauses | None = None,
        cuts: CutRules | None = None,
        trim: bool = True,
    ) -> None:
        _check_range("speed", speed, _SLOWEST, _FASTEST)
        _check_range("variation", variation, 0.0, _MOST_VARIATION)
        _check_range("rhythm_variation", rhythm_variation, 0.0, _MOST_VARIATION)
        self._voice = voice
        self.runs_as = f"onnxruntime on {getattr(voice, 'device', 'cpu')}"
        self._manner = Manner(
            _speaker_number(speaker, voice.facts, voice.name), speed, variation, rhythm_variation
        )
        self._pauses = pauses or JoinPauses()
        self._cuts = cuts or CutRules()
        self._trim = trim
        self._own_phonemes = functools.lru_cache(_WORDS_KEPT)(self._phonemes_of_word)
        self._gain = self._warm_up()

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        threads: int = 1,
        device: Device = "auto",
        speaker: str = "",
        speed: float = 1.0,
        variation: float | None = None,
        rhythm_variation: float | None = None,
        trim: bool = True,
    ) -> PiperTts:
        """Load the voice ``path`` and say its first words, unheard.

        Raises:
            ModelMissingError: there is no such file, or it has no config.
            ModelDamagedError: the graph or the config is no Piper voice's.
            ConfigError: the device or the speaker is not there, or a number is out of range.
            EngineError: the voice fails at its first words.
        """
        voice = LoadedPiperVoice.load(path, threads=threads, device=device)
        return cls(
            voice,
            speaker=speaker,
            speed=speed,
            variation=variation,
            rhythm_variation=rhythm_variation,
            trim=trim,
        )

    @property
    def sample_rate_hz(self) -> int:
        """The rate of every chunk it makes."""
        return self._voice.facts.sample_rate_hz

    @property
    def device(self) -> str:
        """What runs it: ``cpu`` or ``cuda``."""
        return self._voice.device

    @property
    def tells_durations(self) -> bool:
        """Whether words are placed by the voice's own durations; otherwise they are estimated."""
        return self._voice.tells_durations

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        """Speak ``text``, in chunks of 100 ms; nothing if it holds no word.

        ``words`` are what stands between spaces in ``text``, without outer punctuation. Where the
        voice's graph does not tell how long each phoneme lasts, their starts are estimated: each
        phoneme is taken to last as long as the others of its sentence.

        Raises:
            EngineError: the voice failed.
        """
        plain = plain_text(text)
        offset_samples = 0
        for cut in cut_into_stretches(plain, self._cuts):
            for piece in self._pieces(plain, cut, stop):
                for chunk in chunks_of(piece, offset_samples, self.sample_rate_hz):
                    if stop.is_set():
                        return
                    yield chunk
                offset_samples += len(piece.samples)

    def close(self) -> None:
        """Free the voice."""
        self._own_phonemes.cache_clear()
        self._voice.close()

    def _pieces(self, text: str, cut: Cut, stop: StopFlag) -> Iterator[Stretch]:
        """Make a stretch: one piece a sentence of it, and more only if that is very long."""
        spoken_text = text[cut.start : cut.end].translate(_READ_AS_COMMA).strip()
        if cut.goes_on:
            # Without it the voice would let its pitch fall, as at the end of a sentence.
            spoken_text += ","
        pieces = [
            piece
            for sentence in self._voice.phonemes(spoken_text)
            for piece in _short_enough(sentence)
        ]
        spans = word_spans(text, cut.start, cut.end)
        spoken = [phoneme for piece in pieces for phoneme in [*piece, " "]]
        places = phoneme_index_of_words([self._own_phonemes(text[a:b]) for a, b in spans], spoken)
        words = list(zip(places, spans, strict=False))
        begin = 0
        for number, piece in enumerate(pieces):
            if stop.is_set():
                return
            end = begin + len(piece) + 1
            own = [(place - begin, span) for place, span in words if begin <= place < end]
            is_last = number + 1 == len(pieces)
            before_pause = text[cut.start : cut.end] if is_last else "".join(piece)
            made = self._piece(piece, own, self._pauses.behind(before_pause), stop)
            if made is None or stop.is_set():
                return
            yield made
            begin = end

    def _piece(
        self,
        phonemes: list[str],
        words: list[tuple[int, tuple[int, int]]],
        pause_ms: int,
        stop: StopFlag,
    ) -> Stretch | None:
        """Speak, trim silence, soften the edges, add the pause, and place the words.

        None if ``stop`` was set meanwhile.

        Args:
            phonemes: what is spoken.
            words: of each word the phoneme that it begins with, and its place in the text.
            pause_ms: the pause behind it, at speed 1.
            stop: ends it early.
        """
        rate_hz = self.sample_rate_hz
        made = self._voice.speak(phonemes, self._manner, stop)
        if made is None:
            return None
        spoken = trimmed_speech(
            _without_peaks(made.samples * self._gain), rate_hz, trim=self._trim, end_dbfs=_END_DBFS
        )
        length = len(spoken.samples)
        if not length:
            return Stretch(spoken.samples)
        if made.starts is None:
            share = np.cumsum([0.0, *estimated_lengths(phonemes)])
            starts = share / max(share[-1], 1.0) * length
        else:
            starts = (made.starts - spoken.begin).astype(np.float64)
        placed = [
            SpokenWord(*span, int(np.clip(starts[min(at, len(phonemes) - 1)], 0, length - 1))
                       / rate_hz)
            for at, span in words
        ]  # fmt: skip
        pause = np.zeros(round(pause_ms / self._manner.speed * rate_hz / 1000), np.float32)
        return Stretch(np.concatenate((spoken.samples, pause)), placed)

    def _phonemes_of_word(self, word: str) -> tuple[str, ...]:
        sentences = self._voice.phonemes(word.translate(_READ_AS_COMMA))
        return tuple(phoneme for sentence in sentences for phoneme in sentence)

    def _warm_up(self) -> float:
        """Speak something short and something long, so that memory is there; the voice's gain."""
        samples = np.zeros(0, np.float32)
        for text in _WARM_UP_TEXTS:
            for sentence in self._voice.phonemes(text):
                made = self._voice.speak(sentence, self._manner)
                samples = made.samples if made else samples
        return _gain(samples, self.sample_rate_hz)


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ConfigError(f"a Piper voice's {name} is {value}", f"choose {low:g} to {high:g}")


def _speaker_number(speaker: str, facts: PiperVoiceFacts, name: str) -> int | None:
    """The number of the speaker called so; names come first, since some are numbers."""
    if not speaker:
        return None
    by_name = {known.lower(): number for known, number in facts.speaker_ids.items()}
    number = facts.speaker_ids.get(speaker, by_name.get(speaker.lower()))
    if number is None and speaker.isascii() and speaker.isdigit():
        number = int(speaker)
    if number is not None and number < facts.speakers:
        return number
    if facts.speakers == 1:
        way_out = "it has one speaker: leave tts.speaker empty"
    else:
        close = difflib.get_close_matches(speaker.lower(), list(by_name), n=4, cutoff=0.4)
        way_out = f"choose a number from 0 to {facts.speakers - 1}"
        if by_name:
            way_out += f", or a name such as {', '.join(close or list(by_name)[:4])}"
    raise ConfigError(f'the voice {name} has no speaker "{speaker}"', way_out)


def _short_enough(phonemes: list[str]) -> Iterator[list[str]]:
    """The phonemes in pieces that one utterance can hold, cut between words if it can be."""
    rest = phonemes
    while len(rest) > _MAX_PHONEMES:
        spaces = [at for at in range(_MAX_PHONEMES // 2, _MAX_PHONEMES) if rest[at] == " "]
        cut = spaces[-1] + 1 if spaces else _MAX_PHONEMES
        yield rest[:cut]
        rest = rest[cut:]
    yield rest


def _gain(samples: Samples, sample_rate_hz: int) -> float:
    """What brings speech to its level; 1 if there is none to measure."""
    size = sample_rate_hz // 100
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    powers = np.square(windows, dtype=np.float64).mean(axis=1)
    speech = powers[powers > _PAUSE_SHARE * powers.max(initial=0.0)]
    if not len(speech):
        return 1.0
    gain = 10 ** (_SPEECH_DBFS / 20) / np.sqrt(speech.mean())
    return float(np.clip(gain, _LEAST_GAIN, _MOST_GAIN))


def _without_peaks(samples: Samples) -> Samples:
    """Round off what lies above the knee, so that nothing reaches full scale."""
    over = np.abs(samples) > _KNEE
    if not over.any():
        return samples
    rounded = samples.copy()
    peaks = samples[over]
    room = 1 - _KNEE
    rounded[over] = np.sign(peaks) * (_KNEE + room * np.tanh((np.abs(peaks) - _KNEE) / room))
    return rounded
