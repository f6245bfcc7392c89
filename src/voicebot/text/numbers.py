"""Numbers in words, on num2words (American English; other languages in its own words)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from num2words import num2words

from voicebot.text.tables import CURRENCIES, MONTHS

__all__ = [
    "cardinal",
    "date",
    "decade",
    "digits",
    "foreign_number",
    "fraction",
    "money",
    "number",
    "ordinal",
    "time_of_day",
]

_MOST_DIGITS = 15
_FIRST_YEAR, _LAST_YEAR = 1100, 2099
_YEAR_DIGITS = 4
_MAX_FRACTION = 20
_NOON = 12
_MINUTES_AN_HOUR = 60
_HUNDREDTHS_DIGITS = 2
_COMMA_GROUPS = frozenset({"en", "ja", "zh", "ko", "th", "he"})


def _words(value: int, form: str = "cardinal") -> str:
    return str(num2words(value, to=form)).replace(",", "").replace(" and ", " ")


def digits(text: str) -> str:
    """Digit by digit: "007" is "zero zero seven"."""
    return " ".join(_words(int(digit)) for digit in re.findall("[0-9]", text))


def cardinal(text: str) -> str:
    """How many: "1,234.50" is "one thousand two hundred thirty-four point five zero"."""
    whole, *rest = text.replace(",", "").split(".")
    if len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        spoken = digits(whole)
    else:
        spoken = _words(int(whole or "0"))
    if len(rest) == 1:
        return f"{spoken} point {digits(rest[0])}"
    return " point ".join((spoken, *(cardinal(part) for part in rest)))


def number(text: str) -> str:
    """A number by itself: four digits that may be a year are read as one."""
    is_year = text.isdigit() and len(text) == _YEAR_DIGITS
    if is_year and _FIRST_YEAR <= int(text) <= _LAST_YEAR:
        return _words(int(text), "year")
    return cardinal(text)


def ordinal(text: str) -> str:
    """Which one: "21" is "twenty-first"."""
    value = text.replace(",", "")
    return _words(int(value), "ordinal") if len(value) <= _MOST_DIGITS else digits(value)


def decade(text: str) -> str:
    """The many of a number: "1980" is "nineteen eighties"."""
    spoken = number(text)
    return f"{spoken[:-1]}ies" if spoken.endswith("y") else f"{spoken}s"


def fraction(upper: str, lower: str) -> str:
    """Parts: "3" and "4" are "three quarters"; large ones are "over" each other."""
    over, under = int(upper), int(lower)
    if not 0 < over < under or under > _MAX_FRACTION:
        return f"{cardinal(upper)} over {cardinal(lower)}"
    part = {2: "half", 4: "quarter"}.get(under) or ordinal(lower)
    if over == 1:
        return f"one {part}"
    return f"{cardinal(upper)} {'halves' if part == 'half' else part + 's'}"


def time_of_day(hours: str, minutes: str) -> str | None:
    """A clock time, or None if it is none: "10", "05" is "ten oh five"."""
    hour, minute = int(hours), int(minutes)
    if hour > 2 * _NOON or minute >= _MINUTES_AN_HOUR:
        return None
    if minute == 0:
        return f"{_words(hour)} o'clock" if 0 < hour <= _NOON else f"{_words(hour)} hundred"
    return f"{_words(hour)} {'oh ' if minute < 10 else ''}{_words(minute)}"  # noqa: PLR2004 - ten


def date(year: str, month: str, day: str) -> str | None:
    """A day, or None if it is none: "2024", "05", "17" is "May seventeenth twenty twenty-four"."""
    if not 1 <= int(month) <= len(MONTHS) or not 1 <= int(day) <= 31:  # noqa: PLR2004 - days
        return None
    return f"{MONTHS[int(month) - 1]} {ordinal(str(int(day)))} {number(year)}"


def money(sign: str, amount: str, scale: str = "") -> str:
    """An amount: "$", "3.50" is "three dollars and fifty cents"; scale is like "million"."""
    (one, many), (part_one, part_many) = CURRENCIES[sign]
    whole, _, part = amount.replace(",", "").partition(".")
    if scale or (part and len(part) != _HUNDREDTHS_DIGITS):
        return " ".join(filter(None, (cardinal(amount), scale, many)))
    spoken = []
    if int(whole) or not int(part or "0"):
        spoken.append(f"{cardinal(whole)} {one if int(whole) == 1 else many}")
    if int(part or "0"):
        hundredths = str(int(part))
        spoken.append(f"{cardinal(hundredths)} {part_one if hundredths == '1' else part_many}")
    return " and ".join(spoken)


def foreign_number(text: str, language: str) -> str:
    """A number in another language's words, as it stands if num2words does not know it."""
    groups, point = (",", ".") if language[:2] in _COMMA_GROUPS else (".", ",")
    plain = text
    if re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(groups)}[0-9]{{3}})+(?:{point}[0-9]+)?", text):
        plain = plain.replace(groups, "")
    plain = plain.replace(point, ".")
    if len(plain) > _MOST_DIGITS:
        return text
    try:
        value = Decimal(plain)
        whole = value == value.to_integral_value() and "." not in plain
        return str(num2words(int(value) if whole else value, lang=language.replace("-", "_")))
    except (NotImplementedError, InvalidOperation, OverflowError, TypeError, IndexError, KeyError):
        return text
