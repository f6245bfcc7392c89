"""Telling systemd that the kiosk is ready, and that it still lives (sd_notify's protocol).

Each message is a datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names; see
systemd's manual page sd_notify(3). Without systemd nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SystemdNotifier"]

_MICROSECONDS = 1_000_000


class SystemdNotifier:
    """The service manager's ear.

    Args:
        environment: where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s: float | None = None
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        if usec.isdigit() and int(usec) and (not pid or pid == str(os.getpid())):
            self._watchdog_s = int(usec) / _MICROSECONDS

    @property
    def watchdog_s(self) -> float | None:
        """Within which time systemd wants a sign of life; None if it does not."""
        return self._watchdog_s

    def ready(self, status: str = "listening") -> None:
        """The kiosk listens."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """What ``systemctl status`` shows."""
        self._send(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        """The kiosk ends."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Give signs of life until cancelled.

        They come from the event loop: one that stands still gives none, and systemd ends the
        process.
        """
        while self._watchdog_s is not None:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 3.0)

    def _send(self, message: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        with (
            contextlib.suppress(OSError),  # a manager that is gone must not end the kiosk
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one,
        ):
            one.settimeout(0.0)  # a manager that does not read must not hold us up
            one.sendto(message.encode(), self._address)


def _one_line(text: str) -> str:
    return " ".join(text.split())
