from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
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


def test_a_line_that_no_voice_says_is_named_and_those_before_it_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = tmp_path / "lines.txt"
    sentences.write_text("what time is it\n\ntell me |soon| a joke\n")
    folder = tmp_path / "made"
    assert run(["callers", "make", str(sentences), str(folder), "--profile", "embedded"]) == 1
    error = capsys.readouterr().err
    assert "lines.txt:3: |soon| is no pause" in error
    assert "the 1 turns before it" in error
    assert len(load_callers(folder)) == 1


class NoMicrophone:
    def __init__(self, *_: object, **__: object) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
    def blocks(self) -> None: ...
    def close(self) -> None: ...


def record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[np.ndarray | type | None]
) -> int:
    """Record three sentences, of which each is heard as told; a class is raised."""
    said = iter(heard)

    async def record_sentence(*_: object) -> np.ndarray | None:
        each = next(said)
        if isinstance(each, type):
            raise each
        return each

    monkeypatch.setattr("voicebot.bench.recorder.record_sentence", record_sentence)
    monkeypatch.setattr("voicebot.audio.devices.Microphone", NoMicrophone)
    monkeypatch.setattr("voicebot.audio.devices.require_devices", lambda *_: None)
    monkeypatch.setattr("voicebot.builders.turns.vad_factory", lambda *_: NoMicrophone)
    (tmp_path / "lines.txt").write_text("one\ntwo\nthree\n")
    return run(["callers", "record", str(tmp_path / "lines.txt"), str(tmp_path / "made")])


def spoken() -> np.ndarray:
    samples = np.random.default_rng(0).normal(0, 0.001, 32_000)
    samples[8_000:24_000] += 0.2 * np.sin(np.arange(16_000) * 0.2)
    return samples.astype(np.float32)


def test_ctrl_c_keeps_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path, monkeypatch, [spoken(), spoken(), KeyboardInterrupt]) == 130
    assert [each.turns[0].text for each in load_callers(tmp_path / "made")] == ["one", "two"]
    assert "2 turns in" in capsys.readouterr().out


def test_a_silent_person_is_asked_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = [None, spoken(), np.zeros(8_000, np.float32), spoken(), None, None]
    assert record(tmp_path, monkeypatch, heard) == 1
    shown = capsys.readouterr()
    assert shown.out.count("Once more") == 3
    assert "sentence 3, twice" in shown.err
    assert len(load_callers(tmp_path / "made")) == 2
