"""SVG as fluid as text: positions across are percentages, heights are CSS pixels.

A chart so made takes whatever width the page gives it while its letters and lines keep their
size, on a phone as on paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Scale", "canvas", "element", "label", "round_step", "rule", "span"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from ``low`` at 0 % to ``high`` at 100 % of the width."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"an axis cannot go from {self.low} to {self.high}")

    def fraction(self, value: float) -> float:
        """Where ``value`` lies, 0 to 1, held to the axis' ends."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def percent(self, value: float) -> str:
        """Where ``value`` lies, as a coordinate."""
        return f"{100 * self.fraction(value):.2f}%"

    def ticks(self, about: int = 6) -> list[float]:
        """Round values on the axis, about as many as asked for."""
        step = round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def round_step(at_least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is ``at_least`` so much."""
    power = 10.0 ** math.floor(math.log10(at_least))
    for factor in (1, 2, 5):
        if factor * power >= at_least - 1e-9:
            return factor * power
    return 10 * power


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """An element; ``class_`` is ``class``, ``_`` is ``-``, and None leaves an attribute out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{tag}{written}>{inside}</{tag}>")  # noqa: S704 - all parts are escaped above


def canvas(height: float, parts: Iterable[Markup], *, description: str, class_: str = "") -> Markup:
    """A chart of ``height`` px over the full width; screen readers get the description."""
    return element(
        "svg",
        *parts,
        class_=f"chart {class_}".strip(),
        width="100%",
        height=height,
        role="img",
        aria_label=description,
    )


def span(
    scale: Scale,
    start: float,
    end: float,
    *,
    top: float,
    height: float,
    class_: str,
    title: str | None = None,
) -> Markup:
    """A bar from ``start`` to ``end``, in either order, never thinner than can be seen."""
    low, high = sorted((scale.fraction(start), scale.fraction(end)))
    return element(
        "rect",
        *([element("title", title)] if title else []),
        x=f"{100 * low:.2f}%",
        y=top,
        width=f"{100 * max(high - low, 0.002):.2f}%",
        height=height,
        class_=class_,
    )


def rule(scale: Scale, value: float, *, top: float, bottom: float, class_: str) -> Markup:
    """A vertical line at ``value``."""
    at = scale.percent(value)
    return element("line", x1=at, x2=at, y1=top, y2=bottom, class_=class_)


def label(scale: Scale, value: float, text: str, *, y: float, anchor: str, class_: str) -> Markup:
    """Text at ``value``; ``anchor`` is start, middle or end."""
    nudge = {"start": 4, "end": -4}.get(anchor)
    return element(
        "text", text, x=scale.percent(value), y=y, dx=nudge, text_anchor=anchor, class_=class_
    )


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
