"""The program that is measured, as a child process."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from voicebot.acoustic.pulse_server import dying_with_us
from voicebot.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["TargetProcess", "loopback_command", "parse_command", "running_target", "voicebot_chat"]

_STOP_TIMEOUT_S = 5.0
_LISTENS = b"Listening after"  # what `voicebot chat` says when its models are loaded


class TargetProcess:
    """A program that runs; made by ``running_target``.

    Args:
        process: it.
        output: the file that takes what it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    def check(self) -> None:
        """Find out whether it still runs.

        Raises:
            EngineError: it has ended; with the last line that it printed.
        """
        code = self._process.poll()
        if code is None:
            return
        lines = self._output.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        raise EngineError(f"the assistant has ended ({how}; {last})", "see whether it starts alone")

    def says_it_listens(self) -> bool:
        """Whether a ``voicebot chat`` has said so."""
        return _LISTENS in self._output.read_bytes()


def parse_command(text: str) -> list[str]:
    """The words of a command line; no shell is involved.

    Raises:
        ConfigError: it has none, or a quote is open.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--command cannot be read ({error})", "close the quote") from error
    if not words:
        raise ConfigError("--command is empty", "give the command that starts the assistant")
    return words


def voicebot_chat(settings: Sequence[str]) -> list[str]:
    """The command of ``voicebot chat`` with these ``KEY=VALUE`` settings."""
    flags = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, "-m", "voicebot", "chat", *flags]


def loopback_command(device: str, delay_ms: float, log: Path) -> list[str]:
    """The command of the assistant that beeps after a known delay."""
    module = "voicebot.acoustic.loopback_assistant"
    return [sys.executable, "-m", module, device, f"{delay_ms:g}", str(log)]


@contextmanager
def running_target(
    command: Sequence[str], environment: Mapping[str, str], output: Path
) -> Iterator[TargetProcess]:
    """Run a program until the context is left; it and all that it started end then.

    Args:
        command: the program and its arguments.
        environment: all of its environment.
        output: a file for what it prints.

    Raises:
        ConfigError: there is no such program, or it may not be run.
    """
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        raise ConfigError(f"there is no program {command[0]}", "check --command")
    with output.open("wb") as printed:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user names it
                dying_with_us(command),
                env=dict(environment),
                # Open and without a word, so that a program that reads it waits and does not end.
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(
                f"{command[0]} cannot be started ({error.strerror or error})", "check --command"
            ) from error
        try:
            yield TargetProcess(process, output)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group as Ctrl-C would, then make it."""
    if sys.platform == "win32":
        process.terminate()
        process.wait()
    else:
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, how)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
            break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind
    if process.stdin is not None:
        process.stdin.close()
