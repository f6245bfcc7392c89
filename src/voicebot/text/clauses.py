"""Cutting a reply into clauses while the language model still writes it.

A cut is decided when a white space (or a full-width stop and the character after it) has been read,
from nothing but the text so far. So it makes no difference in what pieces the text came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voicebot.languages import find_language

if TYPE_CHECKING:
    from voicebot.languages.language import ClauseWords

__all__ = ["ClauseSplitter", "ends_sentence"]

# German and French close a quotation with what opens one elsewhere.
_CLOSERS = "\"'”’»“‘«)]}*_`~」』）】"  # noqa: RUF001 - quotes and CJK brackets
_WIDE_STOPS = "。！？"  # noqa: RUF001 - CJK punctuation
_SENTENCE_ENDS = ("!", "?", "‽")
_SOFT_ENDS = (",", ";", ":", "，", "、", "；", "：")  # noqa: RUF001 - CJK punctuation
_DASHES = frozenset({"-", "--", "–", "—"})  # noqa: RUF001 - dashes
_LETTERS_WITH_DOTS = re.compile(r"(?:[^\W\d_]\.)+")
_ORDINAL = re.compile(r"(?:\d{1,2}|[IVX]+)\.")
# "324 m." may end a sentence, "J." does not.
_UNIT_AT_END = re.compile(r"[0-9]\s?[mglsht]\.$")
_LIST_NUMBER = re.compile(r"\d{1,3}\.|[a-zA-Z]\.")
_OPENERS = "\"'“‘«„‚»¿¡([{*_`~「『（【"  # noqa: RUF001 - quotes and CJK brackets


class ClauseSplitter:
    """Emits clauses as soon as they can be spoken.

    Sentences end clauses. The first clause also ends at any comma, semicolon, colon or dash, or
    before a word that opens a new phrase ("and", "because", "with"), or before "is" and the like
    behind a long subject, so that speech starts early; later ones do so only at commas and the
    like, once they are long.

    Args:
        first_clause_min_words: the first clause may end before a phrase opener once it has these,
            and before "is", "are", "was" and "were" once it has one more.
        early_first_clause: whether the first clause is cut otherwise than later ones at all.
        long_clause_characters: later clauses may end at a comma from this length on.
        max_clause_characters: a clause is cut at its last white space, at worst in a word, when it
            grows longer.
        language: a language tag, whose abbreviations and conjunctions decide.

    Raises:
        ConfigError: the language is not known.
    """

    def __init__(
        self,
        *,
        first_clause_min_words: int = 3,
        early_first_clause: bool = True,
        long_clause_characters: int = 60,
        max_clause_characters: int = 220,
        language: str = "en",
    ) -> None:
        self._words = find_language(language).clauses
        self._first_clause_min_words = first_clause_min_words
        self._long_clause_characters = long_clause_characters
        self._max_clause_characters = max_clause_characters
        self._early_first_clause = early_first_clause
        self._pending = ""
        self._is_untouched = True  # nothing was emitted yet
        self._first = early_first_clause

    def feed(self, piece: str) -> list[str]:
        """Take the next text; give the clauses that are complete now."""
        clauses = []
        for character in piece:
            cut = self._cut(character)
            self._pending += character
            if cut is not None:
                clauses += self._emit(cut)
        return clauses

    def flush(self) -> list[str]:
        """The rest, at the end of the reply; the splitter is as new afterwards."""
        clauses = self._emit(len(self._pending))
        self._pending = ""
        self._is_untouched = True
        self._first = self._early_first_clause
        return clauses

    def drop_unfinished_word(self) -> str:
        """Forget the last word of a reply that broke off; gives what was forgotten.

        A word with punctuation behind it is finished; one with nothing before it stays, too.
        """
        text = self._pending
        start = max(text.rfind(white) for white in " \t\n") + 1
        if not text or not text[-1].isalnum() or (start == 0 and self._is_untouched):
            return ""
        self._pending = text[:start].rstrip()
        return text[start:]

    def _emit(self, cut: int) -> list[str]:
        self._is_untouched = False
        clause = self._pending[:cut].strip()
        self._pending = self._pending[cut:].lstrip()
        if not clause:
            return []
        self._first = False
        return [clause]

    def _cut(self, character: str) -> int | None:
        """Where to cut the pending text, now that ``character`` follows it."""
        text = self._pending
        if not text:
            return None
        if character.isspace():
            cut = None if text[-1].isspace() else self._cut_at_space(text, character)
        else:
            cut = self._cut_before(text, character)
        if cut is None and len(text) >= self._max_clause_characters:
            space = max(text.rfind(white) for white in " \t\n")
            return space if space > 0 else len(text)
        return cut

    def _cut_before(self, text: str, character: str) -> int | None:
        """A cut that the first character of a new word decides."""
        if text[-1].isspace():
            bare = text.rstrip()
            undecided = (
                _ends_in_letters_with_dots(bare, self._words)
                or bare.endswith(("...", "…"))
                or _UNIT_AT_END.search(bare) is not None
            )
            if undecided and character.isupper() and not _in_open_markup(bare):
                return len(text)
            return None
        if text.rstrip(_CLOSERS).endswith(tuple(_WIDE_STOPS)):
            return None if character in _CLOSERS + _WIDE_STOPS else len(text)
        return None

    def _cut_at_space(self, text: str, space: str) -> int | None:
        """A cut that a white space behind a word decides."""
        if space == "\n":
            return len(text)
        if _in_open_markup(text):
            return None
        word_start = max(text.rfind(white) for white in " \t\n") + 1
        word = text[word_start:]
        if _ends_sentence(word, self._words, is_first=word_start == 0):
            return len(text)
        if self._first or len(text) >= self._long_clause_characters:
            if _pauses(word) and _has_words(text, 1):
                return len(text)
            needed = self._words_needed_before(word)
            if self._first and needed is not None and _has_words(text[:word_start], needed):
                return word_start
        return None

    def _words_needed_before(self, word: str) -> int | None:
        """How many words the first clause must have to end before ``word``; None: it never may."""
        bare = word.strip(_OPENERS).lower()
        if bare in self._words.openers:
            return self._first_clause_min_words
        # "The best way to learn | is to try", but never "That dog | is mine".
        return self._first_clause_min_words + 1 if bare in self._words.copulas else None


def ends_sentence(clause: str) -> bool:
    """Whether a clause that ``ClauseSplitter`` gave is the last of its sentence."""
    bare = clause.rstrip().rstrip(_CLOSERS)
    return bare.endswith((".", "…", *_SENTENCE_ENDS, *_WIDE_STOPS))


def _ends_sentence(word: str, words: ClauseWords, *, is_first: bool) -> bool:
    bare = word.rstrip(_CLOSERS)
    if bare.endswith((*_SENTENCE_ENDS, *_WIDE_STOPS)):
        return True
    if not bare.endswith(".") or bare.endswith(".."):
        return False
    if is_first and _LIST_NUMBER.fullmatch(bare):
        return False
    core = bare.lstrip(_OPENERS)
    if words.ordinal_stop and _ORDINAL.fullmatch(core):
        return False
    return core.lower() not in words.abbreviations and not _LETTERS_WITH_DOTS.fullmatch(core)


def _ends_in_letters_with_dots(text: str, words: ClauseWords) -> bool:
    """Whether the last word is like "U.S." or "p.m.", which may or may not end a sentence."""
    core = text.rsplit(maxsplit=1)[-1].rstrip(_CLOSERS).lstrip(_OPENERS) if text else ""
    # A single letter is an initial ("J. Smith"), which never does.
    return (
        core.count(".") > 1
        and core.lower() not in words.abbreviations
        and (_LETTERS_WITH_DOTS.fullmatch(core) is not None)
    )


def _pauses(word: str) -> bool:
    return word.rstrip(_CLOSERS).endswith(_SOFT_ENDS) or word in _DASHES or word.endswith("—")


def _has_words(text: str, count: int) -> bool:
    words = [word for word in text.split() if any(character.isalnum() for character in word)]
    return len(words) >= count


def _in_open_markup(text: str) -> bool:
    """Whether a code span or a link is open, which would be unreadable if cut."""
    return text.count("`") % 2 == 1 or text.count("[") > text.count("]")
