"""The turns of a run as a table for spreadsheets and data frames: CSV, a row a turn."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from voicebot.bench.record import BREAKDOWN_STAGES

if TYPE_CHECKING:
    from voicebot.bench.record import Run, TurnRecord

__all__ = ["COLUMNS", "csv_of"]

COLUMNS = (
    "turn",
    "caller",
    "kind",
    "speaker",
    "conversation",
    "outcome",
    "voice_to_voice_ms",
    "cut_in",
    "overlap_ms",
    "missed",
    "yield_ms",
    *(f"{stage}_ms" for stage in BREAKDOWN_STAGES),
    "drafts_started",
    "drafts_used",
    "discarded_tokens",
    "cpu_s",
    "underruns",
    "text",
    "transcript",
    "reply",
    "heard",
    "failure",
)
"""The header row."""


def csv_of(run: Run) -> str:
    """The turns that count, as CSV with a header; nothing stands for what is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, turn in enumerate(run.turns, start=1):
        writer.writerow([_cell(value) for value in _row(number, turn)])
    return text.getvalue()


def _row(number: int, turn: TurnRecord) -> tuple[object, ...]:
    parts = turn.breakdown_ms
    return (
        number,
        turn.caller,
        turn.kind,
        turn.speaker,
        turn.conversation,
        turn.outcome,
        turn.voice_to_voice_ms,
        turn.cut_in,
        turn.overlap_ms,
        turn.missed,
        turn.yield_ms,
        *(None if parts is None else getattr(parts, stage) for stage in BREAKDOWN_STAGES),
        turn.drafts.started,
        turn.drafts.used,
        turn.drafts.discarded_tokens,
        turn.cpu_s,
        turn.underruns,
        turn.text,
        turn.transcript,
        turn.reply,
        turn.heard,
        turn.failure,
    )


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return round(value, 3)
    # A spreadsheet takes a text that begins like this for a formula, and what callers say is data.
    if isinstance(value, str) and value[:1] in "=+-@\t\r":
        return "'" + value
    return value
