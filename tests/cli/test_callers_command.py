from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.bench.callers import load_callers
from voicebot.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _models_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    # The voice comes with a dependency; the other stages are not used.
    monkeypatch.setattr("voicebot.cli.startup.ModelStore.is_ready", lambda *_: True)
    monkeypatch.setattr("voicebot.cli.startup.ModelStore.lacks_graph", lambda *_: False)


def test_sentences_become_callers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = tmp_path / "lines.txt"
    sentences.write_text("what time is it\ntell me |0.6| a joke\n")
    folder = tmp_path / "made"
    assert run(["callers", "make", str(sentences), str(folder), "--profile", "embedded"]) == 0
    callers = load_callers(folder)
    assert [caller.turns[0].text for caller in callers] == ["what time is it", "tell me a joke"]
    (pause,) = callers[1].turns[0].pauses
    assert pause[1] - pause[0] == pytest.approx(0.6, abs=0.002)
    assert run(["callers", "check", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "2 callers, 2 turns" in shown
    assert "to be checked" not in shown


def test_labels_that_nobody_checked_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = tmp_path / "lines.txt"
    sentences.write_text("what time is it\n")
    folder = tmp_path / "made"
    assert run(["callers", "make", str(sentences), str(folder), "--profile", "embedded"]) == 0
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("true", "false"))
    assert run(["callers", "check", str(folder)]) == 0
    assert "to be checked: 001-question" in capsys.readouterr().out
