from __future__ import annotations

import io
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import click
import pytest
from rich.console import Console

from voicebot import __version__
from voicebot.cli.context import CliContext
from voicebot.cli.main import SUBCOMMANDS, _LazyGroup, run, voicebot_group
from voicebot.config import Settings, setting_specs
from voicebot.errors import ConfigError, DeviceError, ModelMissingError, as_expected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAVY_MODULES = [
    "torch",
    "transformers",
    "numpy",
    "onnxruntime",
    "pocketsphinx",
    "pydantic",
    "rich.table",
    "sounddevice",
]


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration file and no variable but those a test makes."""
    for name in os.environ:
        if name.startswith("VOICEBOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "user")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets ``voicebot config`` do what a test wants instead."""

    def replace(action: Callable[[], object]) -> None:
        monkeypatch.setattr(
            "voicebot.cli.config.config_command", click.Command("config", callback=action)
        )

    return replace


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, encoding="utf-8"
    )


def test_python_m_voicebot_gives_the_version() -> None:
    done = run_python("-W", "error", "-m", "voicebot", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"voicebot {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = run_python(
        "-c",
        "import sys, voicebot.cli.main\n"
        f"voicebot.cli.run = sys.modules['voicebot.cli.main'].run\n"
        f"code = voicebot.cli.run({arguments!r}) if {bool(arguments)} else 0\n"
        f"print('LOADED', [name for name in {HEAVY_MODULES!r} if name in sys.modules], code)",
    )
    assert done.stdout.splitlines()[-1] == "LOADED [] 0", done.stderr


def test_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, subcommand in SUBCOMMANDS.items():
        assert name in shown
        assert subcommand.summary in shown


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--help"], ["config", "-h"]])
def test_help_is_shown_although_the_configuration_is_broken(
    arguments: list[str], empty_surroundings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_surroundings / "voicebot.toml").write_text("= broken", encoding="utf-8")
    assert run(["config"]) == 2
    assert run(arguments) == 0
    assert "Usage: voicebot" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        [name, inner]
        for name in SUBCOMMANDS
        for inner in getattr(_LazyGroup("voicebot").get_command(None, name), "commands", ())  # type: ignore[arg-type]
    ],
    ids=" ".join,
)
def test_every_command_within_a_command_shows_its_help(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: voicebot {' '.join(command)}")


def test_no_command_shows_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: voicebot")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["confg"],
            (
                "voicebot: error: No such command 'confg'. Did you mean 'config'?: "
                "try 'voicebot --help'"
            ),
        ),
        (["--zzz"], "voicebot: error: No such option '--zzz': try 'voicebot --help'"),
        (
            ["config", "--zzz"],
            "voicebot: error: No such option '--zzz': try 'voicebot config --help'",
        ),
        (
            ["--set", "bench.sed=1", "config"],
            "voicebot: error: unknown setting bench.sed (flag --set): did you mean bench.seed?",
        ),
        (
            ["--profile", "nope", "config"],
            (
                'voicebot: error: profile = "nope" (flag --profile) is not known: '
                "give auto or embedded or cpu or gpu or remote"
            ),
        ),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [line]


def raises(error: BaseException) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


BUG = "(please report; run again with --verbose for the traceback)"

NO_ROOM = (
    "this machine gives voicebot no more memory or threads: choose smaller models, "
    "close other programs, or raise the limits (ulimit -v, ulimit -u)"
)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DeviceError("no microphone", "plug one in"), 1, "error: no microphone: plug one in"),
        (ConfigError("wrong"), 2, "error: wrong"),
        (KeyboardInterrupt(), 130, "stopped"),
        (click.Abort(), 130, "stopped"),
        (ValueError("a\nb"), 70, f"unexpected error: ValueError: a b {BUG}"),
        (RuntimeError(), 70, f"unexpected error: RuntimeError {BUG}"),
        (MemoryError(), 1, f"error: {NO_ROOM}"),
        (RuntimeError("can't start new thread"), 1, f"error: {NO_ROOM}"),
        (EOFError("short"), 70, f"unexpected error: EOFError: short {BUG}"),
        (
            ExceptionGroup("tasks", [ExceptionGroup("inner", [ModelMissingError("no model")])]),
            1,
            "error: no model",
        ),
        (
            ExceptionGroup("tasks", [DeviceError("gone"), KeyError("x")]),
            70,
            f"unexpected error: KeyError: 'x' {BUG}",
        ),
    ],
)
def test_every_failure_is_one_line_with_its_exit_code(
    error: BaseException,
    code: int,
    line: str,
    config_does: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    config_does(raises(error))
    assert run(["config"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    # click itself ends the terminal's ^C with an empty line.
    assert [one for one in captured.err.splitlines() if one] == [f"voicebot: {line}"]


def test_verbose_adds_the_traceback(
    config_does: Callable[[Callable[[], object]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    config_does(raises(ValueError("odd")))
    assert run(["--verbose", "config"]) == 70
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.splitlines()[-1] == f"voicebot: unexpected error: ValueError: odd {BUG}"


def test_a_subcommand_may_choose_its_exit_code(
    config_does: Callable[[Callable[[], object]], None],
) -> None:
    config_does(lambda: click.get_current_context().exit(3))
    assert run(["config"]) == 3


BUFFERED_COMMAND = """
import click, voicebot.cli, voicebot.cli.config as module
module.config_command = click.Command("config", callback=lambda: print("kept in the buffer"))
voicebot.cli.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="uses a POSIX pipe")
@pytest.mark.parametrize("program", [["-m", "voicebot"], ["-c", BUFFERED_COMMAND]])
def test_a_reader_that_leaves_early_is_no_complaint(
    program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # the buffer is the point
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, *program, "config"], stdout=write_end, stderr=subprocess.PIPE, check=False
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")


# --- voicebot config ----------------------------------------------------------------------------


def test_config_in_a_pipe_is_one_whole_line_a_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    prompt = "word [bold] " * 40
    assert run(["--set", f"llm.system_prompt={prompt}", "config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(setting_specs())
    (line,) = (line for line in lines if line.startswith("llm.system_prompt "))
    assert f'"{prompt}"' in line
    assert line.endswith("flag --set")


@pytest.mark.parametrize("without_color", [False, True])
def test_config_on_a_narrow_terminal_cuts_nothing(without_color: bool) -> None:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=80, no_color=without_color, legacy_windows=False
    )
    settings = Settings.model_validate({"llm": {"system_prompt": "x" * 300}})
    context = CliContext(
        settings=settings,
        origins=dict.fromkeys(setting_specs(), "environment " + "Y" * 60),
        console=console,
        error_console=console,
    )
    command = voicebot_group.get_command(click.Context(voicebot_group), "config")
    assert command is not None
    command.main([], obj=context, standalone_mode=False)
    shown = screen.getvalue()
    assert shown.count("x") >= 300
    assert shown.count("Y") >= 60 * len(setting_specs())
    assert "…" not in shown
    assert ("\x1b[3" in shown) is False  # weight tells the rows apart, not colour


def test_config_as_toml_can_be_read_back(
    empty_surroundings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--set", "bench.seed=5", "--profile", "embedded", "config", "--toml"]) == 0
    written = capsys.readouterr().out
    assert tomllib.loads(written)["bench"]["seed"] == 5
    path = empty_surroundings / "saved.toml"
    path.write_text(written, encoding="utf-8")
    assert run(["--config", str(path), "config"]) == 0
    shown = capsys.readouterr().out
    (line,) = (line for line in shown.splitlines() if line.startswith("bench.seed "))
    assert line.split(maxsplit=2)[1:] == ["5", f"file {path}"]


def test_a_subcommands_own_flag_changes_one_setting() -> None:
    console = Console(file=io.StringIO())
    context = CliContext(Settings(), dict.fromkeys(setting_specs(), "default"), console, console)
    assert context.with_flag("bench.seed", "--seed", None) is context
    changed = context.with_flag("bench.seed", "--seed", 3)
    assert changed.settings.bench.seed == 3
    assert changed.origins["bench.seed"] == "flag --seed"
    with pytest.raises(ConfigError, match=r"profile = \"x\" \(flag --profile\)"):
        context.with_flag("profile", "--profile", "x")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_bug_in_an_engine_shows_its_traceback_only_when_asked(
    capsys: pytest.CaptureFixture[str], verbose: bool
) -> None:
    run([*(["--verbose"] if verbose else []), "config"])
    capsys.readouterr()
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("out of wit")
    error = as_expected(raised.value, "the language model stage")
    shown = capsys.readouterr().err
    assert str(error).startswith("the language model stage failed (RuntimeError: out of wit)")
    assert ("Traceback" in shown) is verbose
    assert bool(shown) is verbose
