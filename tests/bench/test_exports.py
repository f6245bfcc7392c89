"""A run in other forms: Markdown, CSV, and a trace for Perfetto."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from factories import a_realistic_run, a_run, a_turn

from voicebot.bench.chrome_trace import trace_of, write_trace
from voicebot.bench.files import write_text_atomically
from voicebot.bench.markdown_report import markdown_of
from voicebot.bench.record import Span
from voicebot.bench.turn_rows import COLUMNS, csv_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_csv_has_a_row_for_every_turn() -> None:
    run = a_realistic_run(40)
    rows = list(csv.DictReader(io.StringIO(csv_of(run))))
    assert len(rows) == 40
    assert tuple(rows[0]) == COLUMNS
    for row, turn in zip(rows, run.turns, strict=True):
        told = row["voice_to_voice_ms"]
        assert (told == "") == (turn.voice_to_voice_ms is None)
        assert not told or float(told) == pytest.approx(turn.voice_to_voice_ms, abs=1e-3)
        assert row["cut_in"] == str(int(turn.cut_in))


def test_what_was_said_is_no_formula_to_a_spreadsheet() -> None:
    turn = a_turn(200.0, transcript='=HYPERLINK("http://x")', reply="two\nlines", text="a, b")
    (row,) = csv.DictReader(io.StringIO(csv_of(a_run([turn]))))
    assert row["transcript"].startswith("'=")
    assert row["reply"] == "two\nlines"
    assert row["text"] == "a, b"


def test_the_markdown_tells_the_figures_and_the_caveats() -> None:
    run = a_realistic_run(60)
    text = markdown_of(run)
    assert f"p50 {round(run.summary.voice_to_voice_ms.p50 or 0)} ms" in text
    for kind in run.summary.by_kind:
        assert f"| {kind} |" in text
    assert "| from-vad-stop |" in text
    assert text.endswith("\n")
    few = markdown_of(a_run([a_turn(200.0)]))
    assert "> Only 1 turn has a latency" in few
    assert "No turn got a reply" in markdown_of(a_run([]))


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    text = markdown_of(a_run([a_turn(200.0, kind="a|b")]))
    assert "| a\\|b |" in text


def test_the_trace_lays_every_turn_out_on_its_own_tracks(tmp_path: Path) -> None:
    turn = a_turn(
        200.0,
        speech=((0.1, 1.0),),
        true_end_s=1.0,
        bot_audio=((1.2, 2.0),),
        spans=(Span("asr", 10.0, 30.0, hidden=True), Span("vad", -50.0, 10.0)),
        marks={"commit": 120.0},
    )
    write_trace(a_run([turn, turn]), tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    events = trace["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {process for process, _ in names} == {1, 2}
    stretches = [
        (names[event["pid"], event["tid"]], event["ts"], event["dur"])
        for event in events
        if event["ph"] == "X" and event["pid"] == 1
    ]
    assert sorted(stretches) == sorted(
        [
            ("caller", pytest.approx(100_000), pytest.approx(900_000)),
            ("bot", pytest.approx(1_200_000), pytest.approx(800_000)),
            ("asr", pytest.approx(1_010_000), pytest.approx(20_000)),
            ("vad", pytest.approx(950_000), pytest.approx(60_000)),
        ]
    )
    instants = {event["name"]: event["ts"] for event in events if event["ph"] == "i"}
    assert instants["true_end"] == pytest.approx(1_000_000)
    assert instants["commit"] == pytest.approx(1_120_000)


def test_a_trace_of_many_turns_is_json_whatever_they_said() -> None:
    trace = trace_of(a_realistic_run(30))
    assert json.loads(json.dumps(trace)) == trace
    times = [event["ts"] for event in trace["traceEvents"] if event["ph"] == "X"]
    assert len(times) >= 30


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write_text_atomically(pipe, "figures\n")
    reader.join(timeout=5.0)
    assert read == ["figures\n"]
    assert pipe.is_fifo()
