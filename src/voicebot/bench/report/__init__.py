"""A run as one web page that needs nothing but itself.

Styles, script and data are inside the page, its security policy lets no request out, and every
chart is drawn here, so that it can be read without a network, without scripts and on paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jiwer
from markupsafe import Markup

from voicebot.bench import summary as figures
from voicebot.bench.definitions import score_by_definitions
from voicebot.bench.files import write_text_atomically
from voicebot.bench.record import BREAKDOWN_STAGES, Run, TurnRecord, to_json
from voicebot.bench.report import latency_charts, length_chart, turn_charts, wording
from voicebot.bench.report.page_parts import (
    content_hash,
    embeddable,
    new_environment,
    read_part,
)
from voicebot.text.normalise import normalise_words

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["render_report", "write_report"]

_STAGE_MEANING = {
    "endpoint": "waiting to be sure that the caller is done",
    "asr": "finishing the transcript",
    "llm": "writing the first clause",
    "tts": "making its first sample",
    "output": "on its way through the sink",
    "unattributed": "explained by no mark",
}


@dataclass(frozen=True, slots=True)
class _WordDifference:
    """A stretch of words: as expected, and as understood where that differs."""

    expected: str
    understood: str
    equal: bool


@dataclass(frozen=True, slots=True)
class _TurnView:
    """A turn with what the template shows of it."""

    number: int
    record: TurnRecord
    trouble: tuple[str, ...]
    sound: turn_charts.LaneChart
    work: turn_charts.LaneChart | None
    differences: tuple[_WordDifference, ...]
    word_errors: int
    unheard: str


def render_report(run: Run) -> str:
    """The page for ``run``, as HTML.

    Raises:
        ValueError: the run holds a number that is not finite.
    """
    environment = new_environment()
    template = environment.from_string(read_part("page.html.jinja"))
    language = str(run.meta.config.get("language", "en"))
    style, script = read_part("page.css"), read_part("page.js")
    return template.render(
        run=run,
        summary=run.summary,
        meta=run.meta,
        started=_in_words(run.meta.started_at),
        caveats=figures.caveats(run),
        target_ms=figures.TARGET_MS,
        within=figures.share_within(run.turns, figures.TARGET_MS),
        charts=_charts(run),
        turns=[_view(number, turn, language) for number, turn in enumerate(run.turns, start=1)],
        stages=[(stage, _STAGE_MEANING[stage]) for stage in BREAKDOWN_STAGES],
        mean_breakdown=figures.mean_breakdown(run.turns),
        went_on=figures.went_on(run.turns),
        lengths_say=length_chart.trend_in_words(run.turns),
        definitions=score_by_definitions(run.turns),
        config=wording.flatten(run.meta.config),
        count=wording.as_count,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        data=embeddable(to_json(run)),
    )


def write_report(run: Run, path: Path) -> None:
    """Write the page for ``run`` to ``path``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text_atomically(path, render_report(run))


def _charts(run: Run) -> dict[str, Any]:
    scale = latency_charts.latency_scale(run.turns)
    mean = figures.mean_breakdown(run.turns)
    by_kind = {
        kind: latency_charts.kind_strip([turn for turn in run.turns if turn.kind == kind], scale)
        for kind in run.summary.by_kind
    }
    return {
        "spread": latency_charts.spread_chart(run.turns, scale),
        "cumulative": latency_charts.cumulative_chart(run.turns, scale),
        "kinds": by_kind,
        "kind_axis": latency_charts.strip_axis(scale),
        "lengths": length_chart.length_chart(run.turns, scale),
        "cascade": latency_charts.breakdown_cascade(mean) if mean else {},
    }


def _view(number: int, turn: TurnRecord, language: str) -> _TurnView:
    differences = _differences(turn, language)
    return _TurnView(
        number=number,
        record=turn,
        trouble=_trouble(turn),
        sound=turn_charts.sound_chart(turn),
        work=turn_charts.work_chart(turn),
        differences=differences,
        word_errors=sum(
            max(len(each.expected.split()), len(each.understood.split()))
            for each in differences
            if not each.equal
        ),
        unheard=turn.reply.removeprefix(turn.heard) if turn.heard else turn.reply,
    )


def _trouble(turn: TurnRecord) -> tuple[str, ...]:
    named = (
        (turn.cut_in, "cut-in"),
        (turn.missed, "miss"),
        (turn.failure is not None, "failure"),
        (turn.underruns > 0, "stutter"),
    )
    return tuple(name for present, name in named if present)


def _differences(turn: TurnRecord, language: str) -> tuple[_WordDifference, ...]:
    if turn.text is None:
        return ()
    expected = normalise_words(turn.text, language)
    understood = normalise_words(turn.transcript, language)
    if not expected:
        return ()
    aligned = jiwer.process_words(" ".join(expected), " ".join(understood)).alignments[0]
    return tuple(
        _WordDifference(
            expected=" ".join(expected[part.ref_start_idx : part.ref_end_idx]),
            understood=" ".join(understood[part.hyp_start_idx : part.hyp_end_idx]),
            equal=part.type == "equal",
        )
        for part in aligned
    )


def _in_words(started_at: str) -> str:
    try:
        moment = datetime.fromisoformat(started_at)
    except ValueError:
        return started_at
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return f"{moment.day} {moment:%B %Y, %H:%M}{zone}"
