"""``voicebot bench compare``, ``definitions`` and ``export`` on stored runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voicebot.bench.record import write_run
from voicebot.cli.main import run

if TYPE_CHECKING:
    from voicebot.bench.record import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from factories import a_realistic_run, a_run, a_turn


def stored(folder: Path, made: Run) -> str:
    write_run(made, folder / "run.json")
    return str(folder)


def test_two_runs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = stored(tmp_path / "one", a_realistic_run(60))
    two = stored(tmp_path / "two", a_realistic_run(60))
    out = tmp_path / "comparison.json"
    assert run(["bench", "compare", one, two, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "two against one: no verdict" in shown
    assert json.loads(out.read_text(encoding="utf-8"))["variants"][1]["name"] == "two"


def test_different_callers_need_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = stored(tmp_path / "one", a_run([a_turn(200.0, caller="a.wav")]))
    two = stored(tmp_path / "two", a_run([a_turn(200.0, caller="b.wav")]))
    assert run(["bench", "compare", one, two]) == 1
    assert "--force" in capsys.readouterr().err
    assert run(["bench", "compare", one, two, "--force"]) == 0
    assert "different callers" in capsys.readouterr().out


def test_definitions_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "definitions", stored(tmp_path / "one", a_realistic_run(30))]) == 0
    shown = capsys.readouterr().out
    assert "from-vad-stop" in shown
    assert "https://docs.pipecat.ai" in shown


@pytest.mark.parametrize(
    ("form", "name", "holds"),
    [
        ("markdown", "report.md", "Voice to voice"),
        ("csv", "turns.csv", "voice_to_voice_ms"),
        ("trace", "trace.json", "traceEvents"),
        ("html", "report.html", "<!doctype html>"),
        ("svg", "card.svg", "voice to voice, median"),
    ],
)
def test_a_run_is_exported_beside_itself(
    tmp_path: Path, form: str, name: str, holds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored(tmp_path / "one", a_realistic_run(12))
    assert run(["bench", "export", folder, "--as", form]) == 0
    assert holds in (tmp_path / "one" / name).read_text(encoding="utf-8")
    assert name in capsys.readouterr().out


def test_what_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text("{}")
    for arguments in (["definitions", str(tmp_path)], ["export", str(tmp_path), "--as", "csv"]):
        assert run(["bench", *arguments]) == 1
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_report_elsewhere_finds_the_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = [a_turn(200.0, audio="audio/001.flac"), a_turn(200.0, audio="audio/gone.flac")]
    folder = stored(tmp_path / "one", a_run(turns))
    (tmp_path / "one" / "audio").mkdir()
    (tmp_path / "one" / "audio" / "001.flac").write_bytes(b"sound")
    page = tmp_path / "else" / "where" / "report.html"
    assert run(["bench", "export", folder, "--as", "html", "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert 'src="../../one/audio/001.flac"' in text
    assert "gone.flac" not in text
    assert "1 recordings are not where" in capsys.readouterr().out
    assert run(["bench", "export", folder, "--as", "html"]) == 0
    beside = (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    assert 'src="audio/001.flac"' in beside


def test_compare_tells_caveats_and_refuses_kinds_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = stored(tmp_path / "one", a_run([a_turn(200.0)]))
    two = stored(tmp_path / "two", a_run([a_turn(210.0)]))
    assert run(["bench", "compare", one, two]) == 0
    shown = capsys.readouterr().out
    assert "! one: Only 1 turn has a latency" in shown
    assert "! two: Only 1 turn has a latency" in shown
    assert run(["bench", "compare", one, two, "--latency-kinds", "questoin"]) == 1
    assert "no turn of these runs is of kind questoin" in capsys.readouterr().err
