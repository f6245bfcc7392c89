"""Charts of one turn: what could be heard when, and what worked when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.record import BREAKDOWN_STAGES, TurnRecord
from voicebot.bench.report.svg import Scale, canvas, element, label, rule, span
from voicebot.bench.report.wording import as_ms, as_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from voicebot.timeline import Breakdown

__all__ = ["LaneChart", "sound_chart", "work_chart"]

_LANE_HEIGHT = 24.0
"""The style sheet gives the names beside the chart the same height."""
_HEAD_HEIGHT, _AXIS_HEIGHT = 16.0, 20.0
_EARLIEST_MS = -200.0
"""Listening begins long before the true end; the chart of work shows this much of it."""
_LATEST_MS = 5_000.0
"""The chart of a miss ends where the turn became one."""
_REPLY_SHOWN_S = 1.5
"""How much of the reply the chart of sound shows."""
_TAIL_SHARE = 0.22
"""Room behind the last instant, for its label."""


@dataclass(frozen=True, slots=True)
class LaneChart:
    """A chart in lanes: the names to set beside it, from the top, and the drawing."""

    lanes: tuple[str, ...]
    drawing: Markup


class _Lanes:
    """Draws bars in lanes over an axis, and named instants across all of them."""

    def __init__(self, names: Sequence[str], scale: Scale, unit: str) -> None:
        self._names = tuple(names)
        self._scale = scale
        self._unit = unit
        self._bottom = _HEAD_HEIGHT + len(names) * _LANE_HEIGHT
        heights = [_HEAD_HEIGHT + index * _LANE_HEIGHT for index in range(len(names) + 1)]
        self._parts = [
            element("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid") for y in heights
        ]

    def shade(self, start: float, end: float, class_: str) -> None:
        """Tint all lanes from ``start`` to ``end``."""
        height = self._bottom - _HEAD_HEIGHT
        self._parts.append(
            span(self._scale, start, end, top=_HEAD_HEIGHT, height=height, class_=class_)
        )

    def bar(
        self, name: str, start: float, end: float, *, class_: str, title: str | None = None
    ) -> None:
        """A bar in the lane ``name``; what lies off the axis is not drawn."""
        if max(start, end) < self._scale.low or min(start, end) >= self._scale.high:
            return
        digits = 2 if self._unit == "s" else 0
        self._parts.append(
            span(
                self._scale,
                start,
                end,
                top=self._top(name) + 5,
                height=_LANE_HEIGHT - 10,
                class_=class_,
                title=title
                or f"{as_number(start, digits)} to {as_number(end, digits)} {self._unit}",
            )
        )

    def note(self, name: str, at: float, text: str) -> None:
        """A text behind ``at`` in the lane ``name``."""
        y = self._top(name) + 16
        self._parts.append(label(self._scale, at, text, y=y, anchor="start", class_="note strong"))

    def instant(self, at: float, name: str, *, before: bool, class_: str) -> None:
        """A line through all lanes with its name at its head, before or behind it."""
        anchor = "end" if before else "start"
        self._parts += [
            rule(self._scale, at, top=2, bottom=self._bottom, class_=class_),
            label(self._scale, at, name, y=11, anchor=anchor, class_=f"note {class_}-name"),
        ]

    def drawn(self, description: str) -> LaneChart:
        """The chart, with its axis."""
        parts = [*self._parts, *self._axis()]
        drawing = canvas(self._bottom + _AXIS_HEIGHT, parts, description=description)
        return LaneChart(self._names, drawing)

    def _top(self, name: str) -> float:
        return _HEAD_HEIGHT + self._names.index(name) * _LANE_HEIGHT

    def _axis(self) -> list[Markup]:
        ticks = self._scale.ticks(5)
        digits = 0 if all(value == round(value) for value in ticks) else 1
        y = self._bottom
        parts = []
        for value in ticks:
            fraction = self._scale.fraction(value)
            if fraction > 0.93:  # noqa: PLR2004 - the unit stands there
                continue
            at_edge = fraction < 0.04  # noqa: PLR2004 - a centred label would leave the chart
            parts.append(rule(self._scale, value, top=y, bottom=y + 4, class_="tick"))
            parts.append(
                element(
                    "text",
                    as_number(value, digits),
                    x=self._scale.percent(value),
                    y=y + 16,
                    text_anchor="start" if at_edge else "middle",
                    class_="tick-name",
                )
            )
        unit = element(
            "text", self._unit, x="100%", y=y + 16, text_anchor="end", class_="tick-name"
        )
        return [*parts, unit]


def sound_chart(turn: TurnRecord) -> LaneChart:
    """When the caller and the bot could be heard, in seconds of the clip."""
    end_s = turn.true_end_s + 0.5
    if turn.audible_s is not None:
        end_s = max(end_s, turn.audible_s + _REPLY_SHOWN_S)
    lanes = _Lanes(("caller", "bot"), Scale(0.0, end_s), "s")
    early = turn.audible_s is not None and turn.audible_s < turn.true_end_s
    if turn.audible_s is not None:
        lanes.shade(turn.true_end_s, turn.audible_s, "gap early" if early else "gap")
    for start, stop in turn.speech:
        lanes.bar("caller", start, stop, class_="caller")
    first_sound_s = turn.speech[0][0] if turn.speech else turn.true_end_s
    for start, stop in turn.bot_audio:
        lanes.bar("bot", start, stop, class_="bot")
        over_start, over_stop = max(start, first_sound_s), min(stop, turn.true_end_s)
        if over_start < over_stop:
            lanes.bar("bot", over_start, over_stop, class_="overlap")
    lanes.instant(turn.true_end_s, "true end", before=not early, class_="true-end")
    description = f"The caller ends at {turn.true_end_s:.2f} s"
    if turn.audible_s is not None:
        lanes.instant(turn.audible_s, "audible", before=early, class_="audible")
        description += f", the reply is audible at {turn.audible_s:.2f} s"
    return lanes.drawn(description)


def work_chart(turn: TurnRecord) -> LaneChart | None:
    """What worked when, in ms after the true end: the critical path first, then every stage.

    None when the turn has neither spans nor a breakdown.
    """
    path_name = "critical path"
    path = _critical_path(turn.breakdown_ms) if turn.breakdown_ms is not None else []
    names = dict.fromkeys([*([path_name] if path else []), *(each.stage for each in turn.spans)])
    if not names:
        return None
    commit = turn.marks.get("commit")
    lanes = _Lanes(list(names), _work_scale(turn, path), "ms")
    for stage, start, end in path:
        title = f"{stage} {as_number(end - start, 1)} ms"
        lanes.bar(path_name, start, end, class_=_stage_class(stage), title=title)
    for each in turn.spans:
        class_ = _stage_class(each.stage) + (" hidden-work" if each.hidden else "")
        lanes.bar(each.stage, each.start_ms, each.end_ms, class_=class_)
    early = commit is not None and commit < 0
    lanes.instant(0, "true end", before=not early, class_="true-end")
    if commit is not None:
        lanes.instant(commit, "commit", before=early, class_="commit")
    if path and turn.voice_to_voice_ms is not None:
        lanes.note(path_name, max(turn.voice_to_voice_ms, 0.0), as_ms(turn.voice_to_voice_ms))
    return lanes.drawn(f"Work of the turn; voice to voice {as_ms(turn.voice_to_voice_ms)}")


def _critical_path(breakdown: Breakdown) -> list[tuple[str, float, float]]:
    """Each part that costs or saves time, with where it begins and ends."""
    path = []
    reached_ms = 0.0
    for stage in BREAKDOWN_STAGES:
        end_ms = reached_ms + getattr(breakdown, stage)
        if end_ms != reached_ms:
            path.append((stage, reached_ms, end_ms))
        reached_ms = end_ms
    return path


def _work_scale(turn: TurnRecord, path: Sequence[tuple[str, float, float]]) -> Scale:
    """From a little before the true end to a little after the reply; playing on is not shown."""
    instants = [0.0, *(end for _, _, end in path)]
    if "commit" in turn.marks:
        instants.append(turn.marks["commit"])
    if turn.voice_to_voice_ms is not None:
        instants.append(turn.voice_to_voice_ms)
    else:
        instants += [min(each.end_ms, _LATEST_MS) for each in turn.spans]
    low = min([*instants, _EARLIEST_MS])
    high = max([*instants, 100.0])
    return Scale(low, high + _TAIL_SHARE * (high - low))


def _stage_class(stage: str) -> str:
    return f"stage-{stage}" if stage in BREAKDOWN_STAGES else "stage-other"
