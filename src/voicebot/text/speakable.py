"""What the model writes, as words that a voice can say, and back to what was heard of it.

Markdown goes by markdown-it-py (``markup.py``), emoji by emoji, numbers by num2words. English has
its own readings (``english.py``), the other languages of ``languages/`` are read by their tables
(``read_aloud.py``). Of any other language only markup, emoji and signs that are no text are dropped
and plain numbers are written in the language's words, the rest being left to the synthesiser.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import emoji

from voicebot.languages import LANGUAGES, primary_subtag
from voicebot.text.english import read_english
from voicebot.text.markup import heard_text
from voicebot.text.numbers import foreign_number
from voicebot.text.read_aloud import read_aloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Span", "Speakable", "heard_prefix", "speakable", "speakable_with_spans"]

_FOREIGN_NUMBER = re.compile(r"(?<![\w.,])[0-9]+(?:[.,][0-9]+)*(?![\w])")
_WORD = re.compile(r"\S+")
_DASHES = frozenset("-–—―")  # noqa: RUF001 - dashes
_BREAKS = _DASHES | {"|"}
_QUOTES = dict.fromkeys("‚‘’", "'") | dict.fromkeys("„“”«»", '"') | {"…": "..."}  # noqa: RUF001
_STANDING_QUOTES = frozenset("«»")
_PUNCTUATION = frozenset(".,;:!?'\"()-。！？，、；：「」『』¿¡·")  # noqa: RUF001 - CJK
_ENDS = ".,;:!?"


@dataclass(frozen=True, slots=True)
class Span:
    """Words of the speakable text and what they stand for.

    Attributes:
        spoken_start: index of the first character in the speakable text.
        spoken_end: index behind the last one.
        start: index of the first character in the original text.
        end: index behind the last one.
    """

    spoken_start: int
    spoken_end: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Speakable:
    """Text for a voice.

    Attributes:
        text: the words to say; empty if there are none.
        spans: where each of them comes from, in order, without overlaps.
        original: what the model wrote.
    """

    text: str
    spans: tuple[Span, ...]
    original: str


def speakable(text: str, language: str = "en") -> str:
    """The words to say for ``text``, a clause or more; empty if there are none."""
    return speakable_with_spans(text, language).text


def speakable_with_spans(text: str, language: str = "en") -> Speakable:
    """The words to say for ``text``, and where each comes from.

    Args:
        text: as a language model writes it; may hold Markdown, emoji, anything.
        language: a language tag; those of ``LANGUAGES`` are read out in full.
    """
    heard = heard_text(text)
    visible = _without_emoji(heard.text)
    read = _reader(language)
    spoken = ""
    spans: list[Span] = []
    for start, end, reading in _readings(visible, read):
        words = _clean(reading)
        if not words or (not spoken and words[0] in _ENDS):
            continue
        joined = not visible[:start].endswith(tuple(" \t\n")) if start else True
        if words[0] in _ENDS:
            spoken = spoken.rstrip()
            if words == "," and spoken[-1] in _ENDS:
                continue
        elif spoken and (not joined or _needs_space(visible, start, spoken, words, reading)):
            spoken += " "
        begin = len(spoken)
        spoken += words
        spans.append(Span(begin, len(spoken), heard.origins[start][0], heard.origins[end - 1][1]))
    if not any(character.isalnum() for character in spoken):
        return Speakable("", (), text)
    return Speakable(spoken, tuple(spans), text)


def heard_prefix(spoken: Speakable, heard_end: int) -> str:
    """What of the original was heard.

    Args:
        spoken: what was synthesised.
        heard_end: index in ``spoken.text`` behind the last word heard (``SpokenWord.text_end``).

    Returns:
        The original up to the last word that was heard in full, with the punctuation and markup
        that closes it; all of it once the last word was heard.
    """
    ends = [_last_letter(spoken.text, span) for span in spoken.spans]
    count = bisect_right(ends, heard_end)
    if count == len(spoken.spans):
        return spoken.original
    if count == 0:
        return ""
    end = spoken.spans[count - 1].end
    limit = spoken.spans[count].start
    while end < limit and not spoken.original[end].isspace():
        end += 1
    return spoken.original[:end]


def _last_letter(text: str, span: Span) -> int:
    # A synthesiser's words carry no punctuation, so neither may what they are compared with.
    end = span.spoken_end
    while end > span.spoken_start and not text[end - 1].isalnum():
        end -= 1
    return end


def _readings(
    text: str, read: Callable[[str], Iterator[tuple[int, int, str]]]
) -> Iterator[tuple[int, int, str]]:
    """All of the text in order: what is read otherwise than written, and the words between."""
    cursor = 0
    for start, end, reading in read(text):
        yield from _plain_words(text, cursor, start)
        yield start, end, reading
        cursor = end
    yield from _plain_words(text, cursor, len(text))


def _plain_words(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    for word in _WORD.finditer(text, start, end):
        written = word.group()
        if written in _STANDING_QUOTES:  # French puts spaces inside its quotation marks
            continue
        yield word.start(), word.end(), "," if set(written) <= _BREAKS else written


def _needs_space(visible: str, start: int, spoken: str, words: str, reading: str) -> bool:
    """Whether words that stood together in the original are apart when spoken."""
    replaced = visible[start : start + len(reading)] != reading
    return (replaced or spoken[-1].isalnum()) and words[0].isalnum() and spoken[-1] not in "(\"'-"


def _clean(reading: str) -> str:
    """Letters, digits and the punctuation that a voice heeds."""
    kept = []
    for character in reading:
        plain = _QUOTES.get(character, character)
        category = unicodedata.category(character)
        if plain in _PUNCTUATION or plain == "..." or category[0] in "LMN" or plain == " ":
            kept.append(plain)
        elif character in _DASHES or character in "_/\\|~":
            kept.append(" ")
    return " ".join("".join(kept).split())


def _without_emoji(text: str) -> str:
    """A space for each character of an emoji, so that positions stay."""
    characters = list(text)
    for found in emoji.emoji_list(text):
        for index in range(found["match_start"], found["match_end"]):
            characters[index] = " "
    return "".join(characters)


def _reader(language: str) -> Callable[[str], Iterator[tuple[int, int, str]]]:
    known = LANGUAGES.get(primary_subtag(language))
    if known is None:
        return _foreign_reader(language)
    return read_english if known.reading is None else partial(read_aloud, language=known)


def _foreign_reader(language: str) -> Callable[[str], Iterator[tuple[int, int, str]]]:
    def read(text: str) -> Iterator[tuple[int, int, str]]:
        for found in _FOREIGN_NUMBER.finditer(text):
            yield found.start(), found.end(), foreign_number(found.group(), language)

    return read
