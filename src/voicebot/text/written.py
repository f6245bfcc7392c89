"""From what a recogniser hears to what a person would have written.

Recognisers like PocketSphinx give lower-case words without punctuation; language models have
learnt from written text and answer it better. The rules are those of a language (``languages/``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voicebot.languages import find_language

if TYPE_CHECKING:
    from voicebot.languages.language import QuestionWords

__all__ = ["as_written"]

_FIRST_WORDS = 3
_END_MARKS = ".?!…"
_I = re.compile(r"\bi(?=$|[\s,.?!]|'(?:m|d|ll|ve)\b)")


def as_written(said: str, language: str = "en") -> str:
    """``said`` with a capital and a mark at its end: "how are you" → "How are you?".

    English also gets its "I", Spanish a "¿" in front of a question.

    Raises:
        ConfigError: the language is not known.
    """
    known = find_language(language)
    text = said.strip()
    if known.code == "en":
        text = _I.sub("I", text)
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    if text[-1] in _END_MARKS:
        return text
    if not _asks(text, known.questions):
        return f"{text}."
    before, behind = known.questions.marks
    return f"{before}{text}{behind}"


def _asks(text: str, questions: QuestionWords) -> bool:
    words = [word.strip(",") for word in text.lower().split()]
    while len(words) > 1 and words[0] in questions.leading:
        del words[0]
    if len(words) > 1 and words[0] in questions.prepositions:
        del words[0]
    return (
        words[0] in questions.first_words
        or words[0].startswith(tuple(f"{word}'" for word in questions.elided))
        or words[-1] in questions.last_words
        or any(word.endswith(questions.endings) for word in words[:_FIRST_WORDS])
    )
