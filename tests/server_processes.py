"""Servers in processes of their own, for tests of what asks them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ChatServerProcess", "chat_server", "server_process"]

SERVERS = Path(__file__).parent / "servers"


@contextmanager
def server_process(
    command: Sequence[str | Path], **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run ``command``, whose standard output is a pipe; leaving ends it."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class ChatServerProcess:
    """A scripted chat server that runs."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}/v1"

    def log(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/log", timeout=5) as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]


@contextmanager
def chat_server(*models: str, port: int = 0) -> Iterator[ChatServerProcess]:
    """A scripted chat server that lists ``models``."""
    command = [SERVERS / "scripted_chat_server.py", str(port), *models]
    with server_process(command) as process:
        assert process.stdout is not None
        yield ChatServerProcess(process, int(process.stdout.readline()))
