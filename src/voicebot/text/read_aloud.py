"""What is read otherwise than written, by the tables of a language (``languages/``)."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from voicebot.text import numerals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from voicebot.languages.language import Currency, Language, Reading

    _Say = Callable[[re.Match[str]], str | None]

__all__ = ["read_aloud"]

_FREE = r"(?<![\w.,])"
_END = r"(?!\w)"
_UNIT_END = r"(?![\w/²³'’])"  # noqa: RUF001 - an apostrophe
_DOMAINS = "com|org|net|edu|gov|io|dev|eu|de|at|ch|es|mx|ar|fr|be"
_DASH = r"[-–—]"  # noqa: RUF001 - dashes
_MINUS = "[-−]"  # noqa: RUF001 - the minus sign
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10}
_ROMAN = r"(?P<roman>X{0,3}(?:IX|IV|V?I{0,3}))(?<=[IVX])"
_MONTHS_A_YEAR, _MOST_DAYS = 12, 31
_HOURS_A_DAY, _MINUTES_AN_HOUR = 24, 60
_LAST_YEAR_IN_HUNDREDS = 1999
_HUNDREDTHS_DIGITS = 2
_YEAR = re.compile("1[1-9][0-9]{2}|20[0-9]{2}")
_GROUP_DIGITS = 3
_MOST_DECIMALS_AS_NUMBER = 2
_START = re.compile(r"[\W_]|\b\w|[^\WA-Za-zÀ-ɏ]")


def read_aloud(text: str, language: Language) -> Iterator[tuple[int, int, str]]:
    """What of ``text`` is read otherwise than written: (start, end, words), in order.

    No digit is left: what no pattern knows is read number by number. ``language`` must have a
    ``reading``.
    """
    patterns = _patterns(language.code)
    cursor = 0
    while (start := _START.search(text, cursor)) is not None:
        cursor = start.start()
        for pattern, say in patterns:
            found = pattern.match(text, cursor)
            if found is None or found.end() == cursor:
                continue
            spoken = say(found)
            if spoken is not None:
                yield cursor, found.end(), _with_stop(found, spoken)
                cursor = found.end()
                break
        else:
            cursor += 1


def _with_stop(found: re.Match[str], spoken: str) -> str:
    """Give back the full stop that ends both an abbreviation and the sentence."""
    is_last = found.group().endswith(".") and not found.string[found.end() :].strip()
    return f"{spoken}." if is_last and not spoken.endswith(".") else spoken


@functools.cache
def _patterns(code: str) -> tuple[tuple[re.Pattern[str], _Say], ...]:
    from voicebot.languages import LANGUAGES  # noqa: PLC0415 - the tables use numerals, too

    reading = LANGUAGES[code].reading
    if reading is None:
        raise ValueError(f"{code} has no tables to read by")
    return tuple((re.compile(text), say) for text, say in _Reader(code, reading).readings())


def _alternatives(written: Iterable[str]) -> str:
    """Any of ``written``, where a space may be any space or none."""
    longest_first = sorted(written, key=len, reverse=True)
    return "|".join(r"\s?".join(map(re.escape, one.split())) for one in longest_first)


class _Reader:
    """The patterns of one language, to be tried in order."""

    def __init__(self, code: str, reading: Reading) -> None:
        self._code = code
        self._reading = reading
        spaces = reading.spaces
        self._number = (
            rf"(?:[0-9]{{1,3}}(?:[{spaces}][0-9]{{3}})+(?![0-9])(?:[.,][0-9]+)?"
            r"|[0-9]+(?:[.,][0-9]+)*)"
        )

    def readings(self) -> Iterator[tuple[str, _Say]]:
        """Patterns, and what is said for a match; None to try the next pattern."""
        reading = self._reading
        number = self._number
        yield r"\b(?:https?://|www\.)[^\s<>\"')\]]*[\w/]", self._address
        yield r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+", self._address
        yield rf"(?<![\w.@-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?:/[\w/.-]*\w)?\b", self._address
        yield _FREE + r"(?P<y>[12][0-9]{3})-(?P<mon>[0-9]{2})-(?P<d>[0-9]{2})" + _END, self._date
        for pattern in reading.date_patterns:
            yield _FREE + pattern, self._date
        for pattern in reading.clock_patterns:
            yield _FREE + pattern, self._clock
        for pattern in reading.phone_patterns:
            yield _FREE + pattern + r"(?![\w-])", self._phone
        sign = f"(?P<sign>[{''.join(reading.currencies)}])"
        scale = rf"(?P<scale>\s?(?:{reading.scales}))?"
        yield rf"{sign}\s?(?P<n>{number}){scale}" + _END, self._money
        yield _FREE + rf"(?P<n>{number})(?:,{_DASH})?{scale}\s?{sign}", self._money
        unit = rf"\s?(?P<unit>{_alternatives(reading.units)})" + _UNIT_END
        ends = rf"(?P<first>{number})\s?{_DASH}\s?(?P<last>{number})"
        yield _FREE + ends + unit, self._range
        yield _FREE + rf"(?P<n>{number})" + unit, self._with_unit
        for pattern, say in reading.ordinal_patterns:
            yield _FREE + pattern, say
        fraction = r"(?P<over>[0-9]{1,3})[/⁄](?P<under>[0-9]{1,3})(?![\w/])"  # noqa: RUF001
        yield _FREE + fraction + f"(?:{unit})?", self._fraction
        yield (
            _FREE + rf"(?P<first>{number}){_DASH}(?P<last>{number})(?![\w-])",
            self._range,
        )
        for roman in reading.romans:
            yield self._roman_pattern(roman.before, roman.behind), self._roman(roman.say)
        yield rf"(?<![\w.])(?:{_alternatives(reading.titles)})(?=\s[A-ZÀ-Þ])", self._title
        short = _alternatives(reading.abbreviations)
        yield rf"(?<![\w.])(?:{short})(?:(?<=\W)|{_END})", self._abbreviation
        yield _FREE + number + _END, self._counted
        yield r"\#(?=\s?[0-9])", lambda _: reading.number
        yield r"~(?=\s?[0-9])", lambda _: reading.about
        yield rf"(?<![\w)\]]){_MINUS}(?=[0-9])", lambda _: reading.minus
        yield rf"(?<=[0-9])\s{_MINUS}\s(?=[0-9])", lambda _: reading.minus
        yield r"(?<=[0-9])\s?\*\s?(?=[0-9])", lambda _: reading.times
        yield r"(?<=[0-9])\s?/\s?(?=[0-9])", lambda _: reading.over
        yield r"(?<=[0-9]):(?=[0-9])", lambda _: reading.score
        per = rf"(?<=[\w{''.join(reading.currencies)}])/(?P<unit>{_alternatives(reading.units)})"
        yield per + _UNIT_END, self._per
        yield r"(?<=\w)\^(?=[\w(])", lambda _: reading.power
        yield f"[{re.escape(''.join(reading.signs))}]", lambda found: reading.signs[found.group()]
        yield "[0-9]+", lambda found: self._whole(found.group())
        yield r"[^\x00-\x7f]", self._other_digit

    # --- numbers --------------------------------------------------------------------------------

    def _counted(self, found: re.Match[str]) -> str:
        """A number in running text, which agrees with a noun behind it."""
        written = found.group()
        if self._is_year(written):
            return numerals.year(int(written), self._code)
        if _YEAR.fullmatch(written):  # what stands behind a year is no noun that it counts
            return self._whole(written)
        noun = re.compile(rf"\s({self._reading.noun}){_END}").match(found.string, found.end())
        return self._amount(written, noun[1] if noun else "")

    def _is_year(self, written: str) -> bool:
        """Whether it is said otherwise than the same number of things."""
        return (
            self._reading.years_in_hundreds
            and _YEAR.fullmatch(written) is not None
            and int(written) <= _LAST_YEAR_IN_HUNDREDS
        )

    def _amount(self, written: str, noun: str = "") -> str:
        parts = self._parts(written)
        if len(parts) > 2:  # noqa: PLR2004 - more than whole and decimals: a version, a section
            return f" {self._reading.dot} ".join(self._whole(part) for part in parts)
        whole = self._whole(parts[0])
        if len(parts) == 1:
            return self._agreeing(whole, noun) if noun else whole
        return f"{whole} {self._reading.point} {self._decimals(parts[1])}"

    def _parts(self, written: str) -> tuple[str, ...]:
        """Whole and decimals; more parts if it is no one number."""
        plain = re.sub(r"\s", "", written)
        marks = [character for character in plain if character in ".,"]
        parts = tuple(re.split("[.,]", plain))
        grouped = 0 < len(parts[0]) <= _GROUP_DIGITS and not parts[0].startswith("0")
        if not marks:
            return parts
        if len(set(marks)) > 1:
            inner = all(len(part) == _GROUP_DIGITS for part in parts[1:-1])
            one_kind = len(set(marks[:-1])) == 1 and marks[-1] != marks[0]
            return ("".join(parts[:-1]), parts[-1]) if grouped and inner and one_kind else parts
        in_groups = grouped and all(len(part) == _GROUP_DIGITS for part in parts[1:])
        if in_groups and (len(marks) > 1 or (marks[0] == "." and self._reading.dot_groups)):
            return ("".join(parts),)
        return parts

    def _whole(self, digits: str) -> str:
        if len(digits) > numerals.MOST_DIGITS or (len(digits) > 1 and digits.startswith("0")):
            return self._digits(digits)
        return numerals.cardinal(int(digits), self._code)

    def _digits(self, text: str) -> str:
        digits = re.findall("[0-9]", text)
        return " ".join(numerals.cardinal(int(digit), self._code) for digit in digits)

    def _decimals(self, digits: str) -> str:
        as_number = self._reading.decimals_as_number and len(digits) <= _MOST_DECIMALS_AS_NUMBER
        return self._whole(digits) if as_number else self._digits(digits)

    def _agreeing(self, spoken: str, noun: str) -> str:
        """The words of a whole number before ``noun``."""
        is_feminine = (
            re.fullmatch(self._reading.feminine_noun, noun.split(maxsplit=1)[0]) is not None
        )
        reading = self._reading
        for pattern, form in reading.feminine_forms if is_feminine else reading.masculine_forms:
            spoken = re.sub(pattern, form, spoken)
        return spoken

    def _with_noun(self, written: str, one: str, many: str) -> str:
        return f"{self._amount(written, one)} {one if self._parts(written) == ('1',) else many}"

    def _with_unit(self, found: re.Match[str]) -> str:
        return self._with_noun(found["n"], *self._reading.units[found["unit"]])

    def _range(self, found: re.Match[str]) -> str:
        unit = found.groupdict().get("unit")
        one, many = self._reading.units[unit] if unit else ("", "")
        ends = [self._end_of_range(found[end], one) for end in ("first", "last")]
        return f"{ends[0]} {self._reading.to} {ends[1]} {many}".strip()

    def _end_of_range(self, written: str, noun: str) -> str:
        if not noun and self._is_year(written):
            return numerals.year(int(written), self._code)
        return self._amount(written, noun)

    def _per(self, found: re.Match[str]) -> str:
        return f"{self._reading.per} {self._reading.units[found['unit']][0]}"

    def _fraction(self, found: re.Match[str]) -> str | None:
        over, under = int(found["over"]), int(found["under"])
        part = self._reading.fractions.get(under)
        if part is None or not 0 < over < under:
            return None
        spoken = part[0] if over == 1 else f"{self._whole(found['over'])} {part[1]}"
        unit = found["unit"]
        return f"{spoken} {self._reading.units[unit][0]}" if unit else spoken

    def _money(self, found: re.Match[str]) -> str:
        currency = self._reading.currencies[found["sign"]]
        scale = (found["scale"] or "").strip()
        if scale:
            amount = self._amount(found["n"], scale)
            scale = self._reading.abbreviations.get(scale, scale)
            return f"{amount} {scale} {self._reading.scaled(currency.many)}"
        return self._plain_money(found["n"], currency)

    def _plain_money(self, written: str, currency: Currency) -> str:
        parts = self._parts(written)
        if len(parts) != 2 or len(parts[1]) != _HUNDREDTHS_DIGITS:  # noqa: PLR2004 - with decimals
            return self._with_noun(written, currency.one, currency.many)
        whole, hundredths = parts[0], str(int(parts[1]))
        if hundredths == "0":
            return self._with_noun(whole, currency.one, currency.many)
        if not whole.strip("0"):
            return self._with_noun(hundredths, currency.hundredth, currency.hundredths)
        spoken = self._with_noun(whole, currency.one, currency.many)
        return f"{spoken}{self._reading.money_joint}{self._whole(hundredths)}"

    def _phone(self, found: re.Match[str]) -> str:
        spoken = [self._reading.signs["+"]] if found.group().startswith("+") else []
        for group in re.findall("[0-9]+", found.group()):
            by_group = self._reading.phone_by_groups and len(group) <= 2  # noqa: PLR2004 - a pair
            if by_group and group.startswith("0"):
                spoken.append(self._digits(group))
            else:
                spoken.append(self._whole(group) if by_group else self._digits(group))
        return " ".join(spoken)

    def _other_digit(self, found: re.Match[str]) -> str | None:
        """A digit that is none of 0 to 9: of another script, in a circle, raised."""
        digit = unicodedata.digit(found.group(), None)
        return None if digit is None else numerals.cardinal(digit, self._code)

    # --- days and times -------------------------------------------------------------------------

    def _date(self, found: re.Match[str]) -> str | None:
        day, month = int(found["d"]), int(found["mon"])
        if not (1 <= month <= _MONTHS_A_YEAR and 1 <= day <= _MOST_DAYS):
            return None
        year = numerals.year(int(found["y"]), self._code) if found["y"] else ""
        return self._reading.date(day, month, year, found.string[: found.start()])

    def _clock(self, found: re.Match[str]) -> str | None:
        hour, minute = int(found["h"]), int(found["min"] or 0)
        if hour > _HOURS_A_DAY or minute >= _MINUTES_AN_HOUR:
            return None
        half = (found.groupdict().get("half") or "")[:1].lower()
        return self._reading.clock(hour, minute, half)

    # --- letters --------------------------------------------------------------------------------

    def _roman_pattern(self, before: str, behind: str) -> str:
        behind = behind or r"\b(?![.'’]\w)"  # noqa: RUF001 - an apostrophe
        words = before.split("|")
        free = "(?:" + "|".join(rf"(?<=\b{word}\s)" for word in words) + ")" if before else r"\b"
        return free + _ROMAN + behind

    def _roman(self, say: Callable[[int], str]) -> _Say:
        def read(found: re.Match[str]) -> str:
            values = [_ROMAN_DIGITS[digit] for digit in found["roman"]]
            following = [*values[1:], 0]
            return say(sum(-v if v < n else v for v, n in zip(values, following, strict=True)))

        return read

    def _title(self, found: re.Match[str]) -> str:
        return _looked_up(self._reading.titles, found.group())

    def _abbreviation(self, found: re.Match[str]) -> str:
        return _looked_up(self._reading.abbreviations, found.group())

    def _address(self, found: re.Match[str]) -> str:
        address = re.sub(r"^(?:https?://)?(?:www\.)?", "", found.group()).rstrip("/")
        spoken = ""
        for piece in re.findall(r"[0-9]|[^\W\d_]+|.", address):
            if piece.isdecimal() and piece.isascii():
                spoken += f" {self._digits(piece)} "
            elif piece.isalpha():
                spoken += piece
            else:
                spoken += f" {self._reading.address_signs.get(piece, ' ')} "
        return spoken


def _looked_up(table: Mapping[str, str], written: str) -> str:
    bare = "".join(written.split())
    return next(said for short, said in table.items() if "".join(short.split()) == bare)
