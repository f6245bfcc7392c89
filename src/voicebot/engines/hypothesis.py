"""What a decoder makes of a stretch of audio, and whether it is to be believed (pure).

Whisper was trained on subtitles and writes some even to silence. What keeps invented text out:
audio without speech is never decoded (``speech_track.py``), and a hypothesis goes through
``judge``. Its first two limits are those of Radford et al. 2022 ("Robust Speech Recognition via
Large-Scale Weak Supervision", section 4.5).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

__all__ = ["GateLimits", "Hypothesis", "Judgement", "compression_ratio", "judge", "without_loops"]

_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|[♩♪♫♬♭♮♯]+")
_LONGEST_LOOP_WORDS = 12
_LOOP_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoding.

    Attributes:
        text: as the model writes it.
        tokens: its token ids.
        mean_log_probability: natural, over the tokens and the end.
        no_speech_probability: the model's own opinion, 0 to 1, that nobody spoke.
        language: the code of the language it was decoded in.
    """

    text: str
    tokens: tuple[int, ...] = ()
    mean_log_probability: float = 0.0
    no_speech_probability: float = 0.0
    language: str = "en"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """From where on a hypothesis is not believed.

    Attributes:
        no_speech_probability: above it, and with words that are less sure than the next limit,
            nobody spoke.
        mean_log_probability: see above.
        compression_ratio: text that compresses better than this repeats itself.
        words_per_second: nobody says more in a second of speech: the text is a loop.
        free_words: so many words are allowed whatever the length of the speech.
    """

    no_speech_probability: float = 0.6
    mean_log_probability: float = -1.0
    compression_ratio: float = 2.4
    words_per_second: float = 8.0
    free_words: int = 4


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is left of a hypothesis.

    Attributes:
        text: what is believed, stripped; may be empty.
        is_repetitive: the model was caught in a loop; a prompt may have led it there.
    """

    text: str
    is_repetitive: bool = False


def judge(hypothesis: Hypothesis, *, speech_s: float, limits: GateLimits) -> Judgement:
    """What to believe of ``hypothesis``.

    Notes on sounds, such as "[BLANK_AUDIO]" and "(music)", are taken out. A loop is cut to its
    first round; if that does not help, nothing is left.

    Args:
        hypothesis: a decoding.
        speech_s: how much speech the audio holds.
        limits: where belief ends.
    """
    text = " ".join(_ANNOTATION.sub(" ", hypothesis.text).split())
    if not any(letter.isalnum() for letter in text):
        return Judgement("")
    if (
        hypothesis.no_speech_probability > limits.no_speech_probability
        and hypothesis.mean_log_probability < limits.mean_log_probability
    ):
        return Judgement("")
    if not _is_repetitive(text, speech_s, limits):
        return Judgement(text)
    shorter = without_loops(text)
    if shorter == text or _is_repetitive(shorter, speech_s, limits):
        shorter = ""
    return Judgement(shorter, is_repetitive=True)


def _is_repetitive(text: str, speech_s: float, limits: GateLimits) -> bool:
    words = len(text.split())
    return (
        compression_ratio(text) > limits.compression_ratio
        or words > limits.free_words + limits.words_per_second * speech_s
    )


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text; below 1 for short ones."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain)) if plain else 0.0


def without_loops(text: str) -> str:
    """The text with every group of up to 12 words that comes three times in a row said once."""
    words = text.split()
    keys = [word.casefold().strip(".,!?") for word in words]
    at = 0
    while at < len(words):
        for length in range(1, min(_LONGEST_LOOP_WORDS, (len(words) - at) // _LOOP_ROUNDS) + 1):
            first = keys[at : at + length]
            rounds = 1
            while keys[at + rounds * length : at + (rounds + 1) * length] == first:
                rounds += 1
            if rounds >= _LOOP_ROUNDS:
                # What follows may be the beginning of a further round that the limit cut.
                end = at + rounds * length
                while end < len(words) and keys[end] == first[(end - at) % length]:
                    end += 1
                del words[at + length : end], keys[at + length : end]
                break
        at += 1
    return " ".join(words)
