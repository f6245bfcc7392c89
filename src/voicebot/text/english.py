"""What is read otherwise than written in English: a table of patterns, tried in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voicebot.text import numbers
from voicebot.text.tables import CURRENCIES, SIGNS, SPOKEN_ABBREVIATIONS, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["read_english"]

_NUMBER = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)*"
_FREE = r"(?<![\w.])"
_MINUS = r"(?<![\w)\]])[-−](?=[0-9])"  # noqa: RUF001 - the minus sign
_END = r"(?![\w])"
_CURRENCY = "[" + "".join(CURRENCIES) + "]"
_ROMAN = {
    "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "X": 10,
    "XI": 11, "XII": 12, "XIII": 13, "XIV": 14, "XV": 15, "XVI": 16,
}  # fmt: skip
_ROMANS = "|".join(sorted(_ROMAN, key=len, reverse=True))
_NUMBERED = ("War", "Chapter", "Part", "Section", "Volume", "Act", "Phase", "Type", "Class")
_REIGNING = (
    "Louis", "Henry", "Charles", "George", "Edward", "Richard", "James", "William", "Elizabeth",
    "Pius", "Benedict", "Paul", "Philip", "Nicholas", "Napoleon", "Catherine", "Frederick",
)  # fmt: skip


def _alternatives(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]  # any collection of str


def _behind(words: tuple[str, ...]) -> str:
    return "(?:" + "|".join(rf"(?<=\b{word}\s)" for word in words) + ")"


def _address(found: re.Match[str]) -> str:
    address = re.sub(r"^(?:https?://)?(?:www\.)?", "", found.group()).rstrip("/")
    spoken = address.replace(".", " dot ").replace("@", " at ").replace("/", " slash ")
    spoken = re.sub(r"[0-9]+", lambda run: f" {numbers.digits(run.group())} ", spoken)
    return re.sub(r"[^A-Za-z]+", " ", spoken)


def _with_unit(found: re.Match[str]) -> str:
    one, many = UNITS[found["unit"]]
    return f"{numbers.cardinal(found['n'])} {one if found['n'] == '1' else many}"


def _range(found: re.Match[str]) -> str:
    unit = found.groupdict().get("unit")
    spoken = f"{numbers.number(found['from'])} to {numbers.number(found['to'])}"
    return f"{spoken} {UNITS[unit][1]}" if unit else spoken


def _clock(found: re.Match[str]) -> str:
    spoken = numbers.time_of_day(found["h"], found["min"])
    if spoken is None:
        return f"{numbers.cardinal(found['h'])} to {numbers.cardinal(found['min'])}"
    half = (found["half"] or "").lower().replace(".", "")
    return _with_stop(found, f"{spoken} {' '.join(half)}" if half else spoken)


def _with_stop(found: re.Match[str], spoken: str) -> str:
    """Give back the full stop that ends both an abbreviation and the sentence."""
    last = found.group().endswith(".") and not found.string[found.end() :].strip()
    return f"{spoken}." if last else spoken


def _date(found: re.Match[str]) -> str:
    spoken = numbers.date(found["y"], found["mon"], found["d"])
    return spoken or numbers.digits(found.group())


def _slash(found: re.Match[str]) -> str:
    return numbers.fraction(found["over"], found["under"])


_READINGS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"\b(?:https?://|www\.)[^\s<>\"')\]]*[\w/]", _address),
    (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _address),
    (r"(?<![\w.@-])(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|dev)(?:/[\w/.-]*\w)?\b", _address),
    (_FREE + r"(?P<y>[12][0-9]{3})-(?P<mon>[0-9]{2})-(?P<d>[0-9]{2})" + _END, _date),
    (_FREE + r"(?P<h>[0-9]{1,2}):(?P<min>[0-9]{2})(?:\s?(?P<half>[aApP]\.?[mM])\b\.?)?" + _END,
     _clock),
    (_FREE + r"(?:\+[0-9]{1,3}[ -])?(?:\([0-9]{3}\)\s?|[0-9]{3}-)?[0-9]{3}-[0-9]{4}" + _END,
     lambda found: numbers.digits(found.group())),
    (rf"(?P<sign>{_CURRENCY})\s?(?P<n>{_NUMBER})(?:\s(?P<scale>thousand|million|billion|trillion))?"
     + _END, lambda found: numbers.money(found["sign"], found["n"], found["scale"] or "")),
    (_FREE + rf"(?P<n>{_NUMBER})\s?(?P<sign>{_CURRENCY})",
     lambda found: numbers.money(found["sign"], found["n"])),
    (_FREE + r"(?:[12][0-9]{2}0|['’][0-9]0)s\b",  # noqa: RUF001 - an apostrophe
     lambda found: numbers.decade(found.group()[:-1].lstrip("'’"))),  # noqa: RUF001 - ditto
    (_FREE + rf"(?P<from>{_NUMBER})\s?[-–—]\s?(?P<to>{_NUMBER})\s?"  # noqa: RUF001 - dashes
     rf"(?P<unit>{_alternatives(UNITS)})(?![\w/²³])", _range),
    (_FREE + rf"(?P<n>{_NUMBER})\s?(?P<unit>{_alternatives(UNITS)})(?![\w/²³])", _with_unit),
    (_FREE + r"(?P<n>[0-9]+(?:,[0-9]{3})*)(?:st|nd|rd|th)\b",
     lambda found: numbers.ordinal(found["n"])),
    (_FREE + r"(?P<over>[0-9]{1,3})[/⁄](?P<under>[0-9]{1,3})(?![\w/])", _slash),  # noqa: RUF001
    (_FREE + rf"(?P<from>{_NUMBER})[-–—](?P<to>{_NUMBER})(?![\w-])", _range),  # noqa: RUF001
    (_FREE + _NUMBER + _END, lambda found: numbers.number(found.group())),
    (r"\#(?=[0-9])", lambda _: "number"),
    (r"~(?=\s?[0-9])", lambda _: "about"),
    (_MINUS, lambda _: "minus"),
    (r"(?<=[0-9])\s[-−]\s(?=[0-9])", lambda _: "minus"),  # noqa: RUF001 - the minus sign
    (r"(?<=[0-9])\s?\*\s?(?=[0-9])", lambda _: "times"),
    (r"(?<=[0-9])\s?/\s?(?=[0-9])", lambda _: "over"),
    (r"(?<=\w)\^(?=[\w(])", lambda _: "to the power of"),
    (rf"(?<![\w.])(?:{_alternatives(SPOKEN_ABBREVIATIONS)})",
     lambda found: _with_stop(found, SPOKEN_ABBREVIATIONS[found.group()])),
    (_behind(_NUMBERED) + rf"(?:{_ROMANS})\b",
     lambda found: numbers.cardinal(str(_ROMAN[found.group()]))),
    (_behind(_REIGNING) + rf"(?!I\b)(?:{_ROMANS})\b",
     lambda found: "the " + numbers.ordinal(str(_ROMAN[found.group()]))),
    ("[" + re.escape("".join(SIGNS)) + "]", lambda found: SIGNS[found.group()]),
)  # fmt: skip
_PATTERNS = tuple((re.compile(pattern), reading) for pattern, reading in _READINGS)
_START = re.compile(r"[0-9\W]|\w+\.|(?:https?|www)|[IVX]|\b\w")


def read_english(text: str) -> Iterator[tuple[int, int, str]]:
    """What of ``text`` is read otherwise than written: (start, end, words), in order."""
    cursor = 0
    while cursor < len(text):
        start = _START.search(text, cursor)
        if start is None:
            return
        cursor = start.start()
        for pattern, reading in _PATTERNS:
            found = pattern.match(text, cursor)
            if found is not None and found.end() > cursor:
                yield cursor, found.end(), reading(found)
                cursor = found.end()
                break
        else:
            cursor += 1
