"""A PulseAudio server to load modules into: one of our own, or the one that is running.

The server of our own has a folder, a socket and no hardware; it needs no D-Bus and no desktop, so
nothing of the user's sound is touched. PipeWire's PulseAudio server takes the same modules.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["PulseServer", "dying_with_us", "private_server", "require_program", "running_server"]

_STARTS_WITHIN_S = 10.0
_PACTL_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_IDLE_EXIT_S = 20  # a server whose clients are all gone ends by itself, whatever became of us
_INSTALL = "install it (Debian: apt-get install pulseaudio pulseaudio-utils libasound2-plugins)"


@dataclass(frozen=True, slots=True)
class PulseServer:
    """A server that answers.

    Attributes:
        environment: what a client needs in its environment to find it.
        folder: a folder of ours for files that belong to it.
        is_private: whether it is our own.
    """

    environment: Mapping[str, str]
    folder: Path
    is_private: bool

    def pactl(self, *arguments: str) -> str:
        """What ``pactl`` prints.

        Raises:
            DeviceError: it fails, or the server no longer answers.
        """
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments
                [require_program("pactl"), *arguments],
                env=dict(self.environment),
                capture_output=True,
                text=True,
                check=False,
                timeout=_PACTL_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"the sound server does not answer (pactl {arguments[0]})", "start it again"
            ) from None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise DeviceError(
                f"pactl {' '.join(arguments[:2])} failed ({said[-1] if said else 'no reason'})",
                "see whether the sound server is running: pactl info",
            )
        return done.stdout

    @contextmanager
    def module(self, name: str, *arguments: str) -> Iterator[int]:
        """A module that is loaded until the context is left; gives its number.

        Raises:
            DeviceError: the server refuses it.
        """
        printed = self.pactl("load-module", name, *arguments).split()
        number = printed[-1] if printed else ""
        try:
            yield int(number)
        finally:
            with contextlib.suppress(DeviceError):  # it went with its master, or with the server
                self.pactl("unload-module", number)

    def listed(self, what: str) -> list[list[str]]:
        """The rows of ``pactl list short``: ``sinks``, ``source-outputs``, ``clients`` and so on.

        Raises:
            DeviceError: the server no longer answers.
        """
        return [row.split("\t") for row in self.pactl("list", "short", what).splitlines()]


def require_program(name: str) -> str:
    """The path of a program of PulseAudio's.

    Raises:
        DeviceError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise DeviceError(f"the program {name} is not installed", _INSTALL)
    return path


def dying_with_us(command: Sequence[str]) -> list[str]:
    """``command`` so that the kernel ends it when this process dies, however it does."""
    setpriv = shutil.which("setpriv")
    return list(command) if setpriv is None else [setpriv, "--pdeathsig", "TERM", *command]


@contextmanager
def private_server() -> Iterator[PulseServer]:
    """A server of our own in a temporary folder, until the context is left.

    Raises:
        DeviceError: PulseAudio is not installed or does not start.
    """
    program = require_program("pulseaudio")
    require_program("pactl")
    with ExitStack() as opened:
        # The path of a socket may have 107 characters: the system's short folder, not TMPDIR.
        place = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 - a fresh folder in it
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory("", "voicebot-", place)))
        socket = folder / "native"
        private = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
        }
        ours = {key: text for key, text in os.environ.items() if not key.startswith("PULSE_")}
        log = opened.enter_context((folder / "log").open("wb"))
        command = [
            program,
            "-n",
            "--daemonize=no",
            f"--exit-idle-time={_IDLE_EXIT_S}",
            "--use-pid-file=no",
            "--disable-shm=yes",
            "-L",
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
        ]
        server = subprocess.Popen(  # noqa: S603 - our own arguments
            dying_with_us(command),
            env={**ours, **private},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C is for us: the room goes last
        )
        opened.callback(_stop, server)
        found = PulseServer({**ours, "PULSE_SERVER": f"unix:{socket}"}, folder, is_private=True)
        _await_answer(found, server)
        yield found


@contextmanager
def running_server() -> Iterator[PulseServer]:
    """The user's own server (PulseAudio or PipeWire).

    Raises:
        DeviceError: none is running.
    """
    with tempfile.TemporaryDirectory("", "voicebot-") as folder:
        found = PulseServer(dict(os.environ), Path(folder), is_private=False)
        found.pactl("info")
        yield found


def _await_answer(found: PulseServer, server: subprocess.Popen[bytes]) -> None:
    began_s = time.monotonic()
    while True:
        if server.poll() is not None:
            said = (found.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            why = said[-1] if said else f"exit code {server.returncode}"
            raise DeviceError(f"PulseAudio does not start ({why})", "run `pulseaudio -vv` to see")
        try:
            found.pactl("info")
        except DeviceError:
            if time.monotonic() - began_s > _STARTS_WITHIN_S:
                raise
            time.sleep(0.05)
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
