"""``voicebot chat``: what is refused before models are loaded, and what a recording leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.record import read_run
from voicebot.cli.main import run
from voicebot.models.store import ModelStore, default_models_dir

QUESTION = recorded_callers_dir() / "26-exchange-what-is-the-capital-of-slt.flac"


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be loaded: what is wrong is found out before."""

    def refuse(*_: object) -> None:
        raise AssertionError("the models were asked for")

    monkeypatch.setattr("voicebot.cli.chat.prepare_models", refuse)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--transcript", "talk.txt"], "the transcript talk.txt has the suffix '.txt'"),
        (["--transcript", "gone/talk.md"], "there is no folder gone for the transcript"),
        (["--transcript", "folder.md"], "the transcript folder.md cannot be written"),
        (["--persona", "gone.txt"], "the system prompt gone.txt cannot be read"),
        (["--record", "taken"], "taken holds a recording already"),
        (["--set", "chat.wake_word=computer"], 'chat.wake_word = "computer"'),
        (["--set", "turns.barge_in_mode=later"], 'turns.barge_in_mode = "later"'),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "conversation.wav").touch()
    (tmp_path / "folder.md").mkdir()
    assert run(["chat", "--input", str(QUESTION), *arguments]) in (1, 2)
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.startswith(f"voicebot: error: {line}")


def test_what_is_only_tried_leaves_no_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.md").write_text("kept", encoding="utf-8")
    for name in ("talk.md", "kept.md"):
        command = ["chat", "--transcript", name, "--input", "gone.wav"]
        assert run(command) == 1
        assert "gone.wav" in capsys.readouterr().err
    assert not (tmp_path / "talk.md").exists()
    assert (tmp_path / "kept.md").read_text(encoding="utf-8") == "kept"


@pytest.mark.models
def test_a_recorded_conversation_can_be_played_again(tmp_path: Path) -> None:
    store = ModelStore(Path(os.environ.get("VOICEBOT_MODELS", default_models_dir())))
    if not all(store.is_ready(name) for name in ("smollm2-135m-instruct", "smart-turn-v3.2")):
        pytest.skip("the embedded models have not been fetched")
    folder, transcript = tmp_path / "talk", tmp_path / "talk.jsonl"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "voicebot", "chat", "--profile", "embedded"),
            *("--input", QUESTION, "--record", folder, "--transcript", transcript),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    assert "nanobind" not in done.stderr
    (caller,) = load_callers(folder)
    assert len(caller.turns) == 1
    (turn,) = read_run(folder / "run.json").turns
    assert turn.outcome == "answered"
    (row,) = map(json.loads, transcript.read_text(encoding="utf-8").splitlines())
    assert row["user"] == turn.transcript
    assert f"You: {row['user']}" in done.stdout
