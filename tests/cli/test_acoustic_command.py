"""What the command line refuses, and what it hands to the child."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from voicebot.acoustic.target import parse_command, running_target, voicebot_chat
from voicebot.cli.main import run
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--command", "x"], "--command goes with --target other"),
        (["--turn-log", "x"], "--turn-log goes with --target other"),
        (["--own-recording", "x"], "--own-recording goes with --target other"),
        (["--play", "x"], "--play and --record go together"),
        (["--channels", "1"], "--channels goes with --record"),
        (["--self-test", "--play", "x", "--record", "y"], "--self-test is of the virtual room"),
        (["--target", "nobody"], "Invalid value for '--target'"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["acoustic", "--out", str(tmp_path), *arguments]) == 2
    assert line in capsys.readouterr().err


def test_without_pulseaudio_the_way_out_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert run(["acoustic", "--out", str(tmp_path / "out")]) == 1
    assert "apt-get install pulseaudio" in capsys.readouterr().err


def test_elsewhere_the_room_needs_devices(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert run(["acoustic", "--out", str(tmp_path)]) == 2
    assert "--play and --record" in capsys.readouterr().err


def test_a_folder_without_callers_is_told_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["acoustic", "--callers", str(tmp_path), "--out", str(tmp_path / "out")]
    assert run(arguments) == 1
    assert "manifest.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_command_is_split_as_a_shell_would() -> None:
    assert parse_command("a 'b c' --d") == ["a", "b c", "--d"]
    for wrong in ("", "  ", "a 'b"):
        with pytest.raises(ConfigError, match="--command"):
            parse_command(wrong)


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="no program nothing-here"),
        running_target(["nothing-here"], {"PATH": str(tmp_path)}, tmp_path / "log"),
    ):
        pass


def test_chat_is_started_by_this_interpreter_with_the_settings() -> None:
    command = voicebot_chat(["audio.block_ms=20", "tts.voice=a b"])
    assert command[:4] == [sys.executable, "-m", "voicebot", "chat"]
    assert command[4:] == ["--set", "audio.block_ms=20", "--set", "tts.voice=a b"]
