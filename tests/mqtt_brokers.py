"""A real Mosquitto for the tests, on a free port, with files of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import signal
    from pathlib import Path

__all__ = ["MOSQUITTO", "Broker", "Certificates", "free_port", "make_certificates", "needs_broker"]

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(
    MOSQUITTO is None, reason="Mosquitto is not installed (Debian: apt-get install mosquitto)"
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Broker:
    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        settings = lines or ("allow_anonymous true",)
        (folder / "mosquitto.conf").write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    "user root",
                    "persistence true",
                    f"persistence_location {folder}/",
                    "max_queued_messages 0",
                    *settings,
                )
            )
            + "\n"
        )

    def start(self) -> None:
        assert MOSQUITTO is not None
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
        )
        log.close()
        until_s = time.monotonic() + 5.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=0.5).close()
            except OSError:
                assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
                assert time.monotonic() < until_s, "the broker does not come up"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()  # writes its persistent sessions down
            self._process.wait(5)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Certificates:
    """An authority of our own, and what it signed, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.other_ca = folder / "ca.pem", folder / "other-ca.pem"
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"


def make_certificates(folder: Path) -> Certificates:
    files = Certificates(folder)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    ca_key = folder / "ca.key"
    for to, name in ((files.ca, "voicebot test authority"), (files.other_ca, "another authority")):
        key = ca_key if to == files.ca else folder / "other.key"
        openssl(
            "req", "-x509", *new_key, "-subj", f"/CN={name}", "-days", 2, "-keyout", key, "-out", to
        )
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName = DNS:localhost\n")
    request = folder / "request.pem"
    for to, key, name in (
        (files.server, files.server_key, "localhost"),
        (files.client, files.client_key, "a-kiosk"),
    ):
        openssl("req", "-new", *new_key, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        sign = ["-CA", files.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 2]
        openssl("x509", "-req", "-in", request, *sign, "-extfile", extensions, "-out", to)
    return files
