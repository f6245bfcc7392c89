"""What belongs to a language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

__all__ = [
    "ClauseWords",
    "Currency",
    "Language",
    "QuestionWords",
    "Reading",
    "Roman",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a table that is written as text."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class QuestionWords:
    """How a question is told from its words alone, and how it is marked in writing.

    Attributes:
        first_words: words that begin a question, in lower case.
        leading: words that may stand before them and say nothing ("and", "okay").
        prepositions: words that may stand before them and belong to them ("from where").
        last_words: words that make a question when they come last ("c'est quoi").
        elided: first words that may be bound to the next one by an apostrophe ("qu'est-ce").
        endings: endings of one of the first three words that make a question ("-tu").
        marks: what stands before and behind a question.
    """

    first_words: frozenset[str]
    leading: frozenset[str]
    prepositions: frozenset[str] = frozenset()
    last_words: frozenset[str] = frozenset()
    elided: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    marks: tuple[str, str] = ("", "?")


@dataclass(frozen=True, slots=True)
class ClauseWords:
    """Where a reply can be cut.

    Attributes:
        abbreviations: words whose full stop does not end a sentence, in lower case.
        openers: conjunctions and prepositions before which a voice may pause.
        copulas: verbs before which a voice may pause when what they are said of was long.
        ordinal_stop: whether a number with a full stop is an ordinal ("am 3. Oktober"), which ends
            no sentence.
    """

    abbreviations: frozenset[str]
    openers: frozenset[str]
    copulas: frozenset[str] = frozenset()
    ordinal_stop: bool = False


@dataclass(frozen=True, slots=True)
class Roman:
    """Where Roman numerals are read as numbers, and how.

    Attributes:
        before: a regular expression of the word that must stand before one; empty for any.
        behind: a regular expression of what belongs to one, right behind it; may be empty.
        say: the words for a number.
    """

    before: str
    behind: str
    say: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Currency:
    """How amounts of a currency are said: its name and its hundredth's, for one and for many."""

    one: str
    many: str
    hundredth: str
    hundredths: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How numbers, units, signs and abbreviations are read aloud.

    Attributes:
        point: the decimal mark, as it is said.
        dot: the mark between the parts of a version or an address, as it is said.
        decimals_as_number: whether decimals are read as a number ("trois virgule quatorze") rather
            than digit by digit ("drei Komma eins vier").
        spaces: the spaces that may stand between groups of three digits.
        dot_groups: whether "1.234" is more than a thousand.
        years_in_hundreds: whether 1990 is "neunzehnhundertneunzig".
        noun: a regular expression of a word that is counted when it stands behind a number.
        feminine_noun: a regular expression of those of them that are feminine.
        masculine_forms: what is replaced (regular expressions) in a number before another noun.
        feminine_forms: likewise before a feminine one.
        date: the words for a day: its number, the month (1 to 12), the year's words or "", and
            what stands before it.
        date_patterns: regular expressions of dates with groups d, mon and y, besides 2024-05-17.
        clock: the words for a time: hour, minute, and "a", "p" or "" for the half of the day.
        clock_patterns: regular expressions of times with groups h, min and half.
        phone_patterns: regular expressions of telephone numbers.
        phone_by_groups: whether each group of one is a number ("vingt-trois"), else its digits are.
        units: units behind a number, each for one and for many.
        currencies: by their signs.
        money_joint: stands between the whole and its hundredths ("tres euros con cincuenta").
        scales: a regular expression of "million" and its kin, written behind an amount.
        scaled: a currency behind one of them: "euros" is "d'euros".
        signs: how signs are read that stand alone or between operands.
        abbreviations: how abbreviations are read; a space in one may be any space or none.
        titles: likewise, where a capital letter follows.
        ordinal_patterns: regular expressions of ordinals, and how one is read; None if it is none.
        fractions: by the number below the line: the part for one, for many.
        over: the line of any other fraction.
        to: stands between the ends of a range.
        per: stands between an amount and what it is for ("12 €/kg").
        score: stands between two numbers that a colon joins.
        minus: the sign of a negative number.
        times: the sign of a product.
        power: the sign of a power.
        number: the sign "#" before a number.
        about: the sign "~" before a number.
        romans: where Roman numerals are read.
        address_signs: how the signs of an address are read.
    """

    point: str
    dot: str
    spaces: str
    noun: str
    feminine_noun: str
    masculine_forms: tuple[tuple[str, str], ...]
    feminine_forms: tuple[tuple[str, str], ...]
    date: Callable[[int, int, str, str], str]
    clock: Callable[[int, int, str], str]
    clock_patterns: tuple[str, ...]
    date_patterns: tuple[str, ...]
    phone_patterns: tuple[str, ...]
    units: Mapping[str, tuple[str, str]]
    currencies: Mapping[str, Currency]
    scales: str
    scaled: Callable[[str], str]
    signs: Mapping[str, str]
    abbreviations: Mapping[str, str]
    titles: Mapping[str, str]
    ordinal_patterns: tuple[tuple[str, Callable[[re.Match[str]], str | None]], ...]
    fractions: Mapping[int, tuple[str, str]]
    over: str
    to: str
    per: str
    score: str
    minus: str
    times: str
    power: str
    number: str
    about: str
    romans: tuple[Roman, ...]
    address_signs: Mapping[str, str]
    money_joint: str = " "
    decimals_as_number: bool = False
    dot_groups: bool = False
    years_in_hundreds: bool = False
    phone_by_groups: bool = False


@dataclass(frozen=True, slots=True)
class Language:
    """A language of a conversation.

    Attributes:
        code: ISO 639.
        name: in English.
        system_prompt: what the language model is told unless the settings say something else.
        examples: short exchanges (user, assistant) that show it how briefly to answer.
        apology: said when a stage failed.
        no_answer: said when the language model wrote nothing.
        acknowledgements: words and phrases that only say "I am listening", as ``normalise_words``
            gives them, joined by spaces.
        espeak_voice: eSpeak NG's name of its voice.
        questions: how questions are told.
        clauses: where a reply can be cut.
        reading: how it is read aloud; None for English, which has rules of its own
            (``text/english.py``).
    """

    code: str
    name: str
    system_prompt: str
    examples: tuple[tuple[str, str], ...]
    apology: str
    no_answer: str
    acknowledgements: frozenset[str]
    espeak_voice: str
    questions: QuestionWords
    clauses: ClauseWords
    reading: Reading | None
