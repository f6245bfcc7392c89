"""Measure how long a kiosk takes from the start of its process until it listens.

    tools/measure_boot.py [--runs N] [--timeout-s S] -- COMMAND …

Plays systemd: starts COMMAND with a socket of its own in ``NOTIFY_SOCKET``, waits for ``READY=1``
(see src/voicebot/supervision/systemd.py), says how long that took, and ends the command.
On a machine that has booted into the kiosk, ``systemd-analyze critical-chain`` with the unit's name
tells the same from the kernel's start on.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main", "seconds_to_ready"]

_LOOK_EVERY_S = 0.2
_END_TIMEOUT_S = 15.0


def seconds_to_ready(command: list[str], *, timeout_s: float) -> float:
    """Start ``command``, wait for its ``READY=1``, end it.

    Raises:
        RuntimeError: it ended, or was not ready in time.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        address = str(Path(folder) / "notify")
        manager.bind(address)
        manager.settimeout(_LOOK_EVERY_S)
        began_s = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - the command is the user's own
            command, env={**os.environ, "NOTIFY_SOCKET": address}
        )
        try:
            while time.monotonic() - began_s < timeout_s:
                has_ended = process.poll() is not None
                try:
                    if b"READY=1" in manager.recv(4096).split(b"\n"):
                        return time.monotonic() - began_s
                except TimeoutError:
                    if has_ended:
                        raise RuntimeError("the command ended before it was ready") from None
            raise RuntimeError(f"the command was not ready within {timeout_s:g} s")
        finally:
            process.terminate()
            try:
                process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1, help="how often")
    parser.add_argument("--timeout-s", type=float, default=300.0, help="the longest wait")
    parser.add_argument("command", nargs="+", help="what to start")
    arguments = parser.parse_args()
    for run in range(1, arguments.runs + 1):
        try:
            took_s = seconds_to_ready(arguments.command, timeout_s=arguments.timeout_s)
        except (RuntimeError, OSError) as error:
            sys.exit(f"measure_boot: {error}")
        print(f"run {run}: {took_s:.2f} s from the start of the process to listening", flush=True)


if __name__ == "__main__":
    main()
