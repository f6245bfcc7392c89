"""Does the user who speaks over the bot mean to interrupt it?

A pure rule. At the first sign of speech the bot holds its breath, which costs nothing. Then what
is known of the speech decides: it yields to whoever speaks for longer than an acknowledgement
lasts or says something else than one, and goes on where it was after a cough or an 'mm-hm'.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from voicebot.languages import find_language
from voicebot.text.normalise import normalise_words

__all__ = [
    "BargeInMode",
    "InterruptionRules",
    "Intrusion",
    "Verdict",
    "is_acknowledgement",
    "judge",
]

_MOST_WORDS = 4

_GUESSED_WORDS = 2
"""What a recogniser says of the first tenths of a second is a guess ('the', 'look', 'okay')."""


class Verdict(Enum):
    """What the bot does with the reply that it holds."""

    HOLD = "hold"
    GO_ON = "go on"
    YIELD = "yield"


class BargeInMode(Enum):
    """What the bot does when the user speaks over it."""

    INTERRUPT = "interrupt"
    """It holds at once, and yields if it was meant."""
    FINISH_SENTENCE = "finish-sentence"
    """It speaks on, and if it was meant to the end of its sentence only."""
    NEVER = "never"
    """It speaks to the end; what was said is answered afterwards."""


@dataclass(frozen=True, slots=True)
class InterruptionRules:
    """The settings of the decision.

    Attributes:
        acknowledgement_max_ms: speech that lasts longer is an interruption, whatever is said.
        go_on_silence_ms: silence before the bot goes on: an "okay" may open a sentence.
        mode: what the bot does meanwhile, and what it does if it was an interruption.
        language: the language whose acknowledgements count. A word that is none of them, or of
            another language, is an interruption: the bot rather yields.
    """

    acknowledgement_max_ms: float = 700.0
    go_on_silence_ms: float = 300.0
    mode: BargeInMode = BargeInMode.INTERRUPT
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Intrusion:
    """What is known of the speech over the bot so far.

    Attributes:
        speech_ms: from its onset to the end of its latest speech.
        words: what was understood so far; empty for noise.
        is_asked: whether the bot was asking: then an acknowledgement is an answer.
        is_over: whether it ended and ``words`` are all that will be understood of it.
    """

    speech_ms: float
    words: str = ""
    is_asked: bool = False
    is_over: bool = False


def judge(intrusion: Intrusion, rules: InterruptionRules) -> Verdict:
    """Decide as soon as it can be decided; it always can once the intrusion is over."""
    if intrusion.speech_ms > rules.acknowledgement_max_ms:
        return Verdict.YIELD
    words = len(normalise_words(intrusion.words, rules.language))
    counts = words > 0 if intrusion.is_over else words > _GUESSED_WORDS
    if counts and (intrusion.is_asked or not is_acknowledgement(intrusion.words, rules.language)):
        return Verdict.YIELD
    return Verdict.GO_ON if intrusion.is_over else Verdict.HOLD


def is_acknowledgement(text: str, language: str = "en") -> bool:
    """Whether ``text`` is made of a few words that only say 'I am listening'."""
    known = find_language(language).acknowledgements
    words = normalise_words(text, language)
    if not words or len(words) > _MOST_WORDS:
        return False
    at = 0
    while at < len(words):
        for length in range(_MOST_WORDS, 0, -1):
            if " ".join(words[at : at + length]) in known:
                at += length
                break
        else:
            return False
    return True
