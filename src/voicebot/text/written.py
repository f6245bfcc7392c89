"""From what a recogniser hears to what a person would have written.

Recognisers like PocketSphinx give lower-case words without punctuation; language models have
learnt from written text and answer it better. The rules are for English; words of other languages
only get a capital letter and a full stop.
"""

from __future__ import annotations

import re

__all__ = ["as_written"]

# fmt: off
_ASKING = frozenset((
    "who", "whom", "whose", "what", "which", "when", "where", "why", "how", "is", "are", "am",
    "was", "were", "do", "does", "did", "can", "could", "will", "would", "shall", "should",
    "may", "might", "have", "has", "had", "isn't", "aren't", "wasn't", "weren't", "don't",
    "doesn't", "didn't", "can't", "couldn't", "won't", "wouldn't", "shouldn't", "haven't",
    "hasn't", "what's", "who's", "where's", "when's", "how's",
))
# fmt: on
# fmt: off
_LEADING = frozenset((
    "and", "but", "so", "or", "okay", "ok", "well", "then", "now", "hello", "hi", "hey",
    "please",
))
# fmt: on
_END_MARKS = ".?!…"
_I = re.compile(r"\bi(?=$|[\s,.?!]|'(?:m|d|ll|ve)\b)")


def as_written(said: str) -> str:
    """``said`` with a capital, "I", and a mark at its end: "how are you" → "How are you?"."""
    text = _I.sub("I", said.strip())
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    if text[-1] in _END_MARKS:
        return text
    return text + ("?" if _asks(text) else ".")


def _asks(text: str) -> bool:
    words = text.lower().split()
    while len(words) > 1 and words[0].strip(",") in _LEADING:
        del words[0]
    return words[0].strip(",") in _ASKING
