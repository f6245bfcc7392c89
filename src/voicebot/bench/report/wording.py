"""How figures are written on the page: with a unit, a true minus sign, and a dash for none."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["as_count", "as_interval", "as_ms", "as_number", "as_percent", "as_signed", "flatten"]

_NONE = "\N{EN DASH}"
_THIN = "\N{NARROW NO-BREAK SPACE}"


def as_number(value: float | None, digits: int = 0) -> str:
    """``-1234.5`` as a figure with a true minus sign and a thin space at the thousands."""
    if value is None:
        return _NONE
    text = f"{value:,.{digits}f}"
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    return text.replace(",", _THIN).replace("-", "\N{MINUS SIGN}")


def as_signed(value: float | None) -> str:
    """A difference as a whole number with its sign; none for nothing."""
    if value is None:
        return _NONE
    text = as_number(value)
    return f"+{text}" if value > 0 and text != "0" else text


def as_ms(value: float | None) -> str:
    """A latency in whole ms."""
    return _NONE if value is None else f"{as_number(value)}{_THIN}ms"


def as_percent(value: float | None) -> str:
    """A share, 0 to 1, in percent with one decimal, or none where it is whole."""
    if value is None:
        return _NONE
    percent = 100 * value
    return f"{as_number(percent, 0 if abs(percent - round(percent)) < 0.05 else 1)}{_THIN}%"  # noqa: PLR2004 - half of the last digit shown


def as_interval(interval: tuple[float, float] | None) -> str:
    """A 95 % interval in ms, in words."""
    if interval is None:
        return "no interval from so few"
    return f"95{_THIN}% interval {as_number(interval[0])} to {as_number(interval[1])}"


def as_count(number: int, one: str, many: str) -> str:
    """A number and its noun."""
    return f"{as_number(number)} {one if number == 1 else many}"


def flatten(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """The leaves of nested mappings with their dotted names, in order."""
    leaves: list[tuple[str, object]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves += flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves
