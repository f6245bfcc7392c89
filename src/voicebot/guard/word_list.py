"""Words and phrases that are looked for as they stand."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from voicebot.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["WordList", "plain_words", "read_word_list"]

_NOT_WORD = re.compile(r"[^\w]+")
# Letters that stand for others in words that are meant to get past a list: "1d1ot".
_DISGUISES = str.maketrans("013457@$", "oieastas")


def plain_words(text: str) -> str:
    """``text`` in lower case, without accents and punctuation, a space between words."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(one for one in folded if not unicodedata.combining(one)).replace("'", "")
    bare = bare.replace("’", "")  # noqa: RUF001 - an apostrophe
    return " ".join(_NOT_WORD.sub(" ", bare).split())


class WordList:
    """Finds phrases in texts: whole words, whatever their case, accents and punctuation.

    Args:
        phrases: words or phrases; ``*`` at the end of one stands for any ending of its last word.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        patterns = [pattern for one in phrases if (pattern := _pattern(one))]
        self._pattern = re.compile(rf"\b(?:{'|'.join(patterns)})\b") if patterns else None

    def find(self, text: str) -> str | None:
        """The first phrase in ``text``, in plain words; None if there is none."""
        if self._pattern is None:
            return None
        plain = plain_words(text)
        found = self._pattern.search(plain)
        if found is None and any(one.isdigit() or one in "@$" for one in text):
            found = self._pattern.search(plain_words(text.casefold().translate(_DISGUISES)))
        return found.group() if found else None


def read_word_list(path: Path) -> WordList:
    """The operator's list: a phrase a line; empty lines and those that begin with ``#`` are none.

    Raises:
        KnowledgeError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise KnowledgeError(
            f"the words {path} cannot be read: {why}", "see guard.words_file"
        ) from error
    return WordList([line for line in lines if not line.lstrip().startswith("#")])


def _pattern(phrase: str) -> str:
    words = plain_words(phrase)
    ending = r"\w*" if phrase.rstrip().endswith("*") else ""
    return re.escape(words).replace(r"\ ", " ") + ending if words else ""
