"""Operations on text that make much out of little, with a longest result: for programs not trusted.

Each function tells from its arguments how long the result would be, before anything is made.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_CHARACTERS", "TooLongError", "check_length", "check_method", "check_operator"]

MOST_CHARACTERS = 4_000_000
_WIDE = re.compile(r"\d{6,}|\*")
"""A width of a format that no honest one has, or one that stands in an argument."""


class TooLongError(ValueError):
    """A result would be longer than ``MOST_CHARACTERS``."""

    def __init__(self) -> None:
        super().__init__("it makes text without end")


def check_length(length: int) -> None:
    """Let only lengths pass that may be.

    Raises:
        TooLongError: it is longer.
    """
    if length > MOST_CHARACTERS:
        raise TooLongError


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Let ``left operator right`` pass if its result is not too long.

    Raises:
        TooLongError: it is.
    """
    if operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, Sized) and isinstance(times, int):
                check_length(len(many) * times)
    elif operator == "+" and isinstance(left, Sized) and isinstance(right, Sized):
        check_length(len(left) + len(right))
    elif operator == "%" and isinstance(left, str):
        _check_format(left, right)


def check_method(name: str, text: str, arguments: Sequence[Any]) -> None:
    """Let ``text.name(*arguments)`` pass if its result is not too long.

    Raises:
        TooLongError: it is.
    """
    if name in {"center", "ljust", "rjust", "zfill", "indent"}:
        check_length(max((one for one in arguments if isinstance(one, int)), default=0))
    elif name == "expandtabs":
        widths = [one for one in arguments if isinstance(one, int)]
        check_length(text.count("\t") * max(widths, default=8))
    elif name in {"format", "format_map"}:
        _check_format(text, arguments)
    elif name == "join" and arguments:
        parts = list(arguments[0])
        check_length(sum(len(str(part)) + len(text) for part in parts))
    elif name == "replace" and len(arguments) > 1:
        old, new = str(arguments[0]), str(arguments[1])
        check_length(len(text) + text.count(old) * len(new))


def _check_format(template: str, values: Any) -> None:
    if _WIDE.search(template):
        raise TooLongError
    # Each place may hold the longest of the values.
    each = values if isinstance(values, list | tuple) else [values]
    longest = max((len(one) for one in each if isinstance(one, str)), default=0)
    places = template.count("%") + template.count("{")
    check_length(len(template) + places * longest)
