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
