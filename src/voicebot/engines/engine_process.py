"""An engine's process: a child that runs a script and exchanges messages with this one.

For engines that hold the interpreter's lock while they work. Sending never waits for the child:
what the socket does not take at once is kept and sent later. The child ends when its socket does,
so that it cannot outlive this process, however that one ends.
"""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from typing import TYPE_CHECKING

from voicebot.errors import EngineError, EngineStuckError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HEADER", "EngineProcess"]

HEADER = struct.Struct("<cI")
"""Before each message, either way: its kind, one byte, and the length of its payload."""

_RECEIVE_BYTES = 65_536
_EXIT_TIMEOUT_S = 2.0


class EngineProcess:
    """A running child.

    Args:
        script: Python file that the child runs by its path, with the socket's number as its
            argument (on Windows: the shared socket on its standard input).
        name: what errors call it, as in "the speech recogniser".
        max_unsent_bytes: how far the child may fall behind before it counts as stuck.

    Raises:
        EngineError: the process cannot be started.
    """

    def __init__(self, script: Path, name: str, max_unsent_bytes: int) -> None:
        self._name = name
        self._max_unsent_bytes = max_unsent_bytes
        self._unsent = bytearray()
        self._received = bytearray()
        self._messages: deque[tuple[bytes, bytes]] = deque()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._socket, child_socket = socket.socketpair()
        try:
            self._process = self._spawn(script, child_socket)
        except (OSError, ValueError) as error:
            self._socket.close()
            self._stderr.close()
            raise EngineError(f"{name}'s process cannot be started ({error})") from error
        finally:
            child_socket.close()
        self._socket.setblocking(False)  # noqa: FBT003 - the socket's own signature

    @property
    def process_id(self) -> int:
        """The child's, by which its processor time and memory can be accounted."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child is running."""
        return self._process.poll() is None

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a message, without waiting for the child to read it.

        Raises:
            EngineError: the child has ended.
            EngineStuckError: the child has not read for too long.
        """
        self._unsent += HEADER.pack(kind, len(payload))
        self._unsent += payload
        self._flush()
        if len(self._unsent) > self._max_unsent_bytes:
            raise EngineStuckError(f"{self._name} does not keep up with the audio")

    def poll(self) -> tuple[bytes, bytes] | None:
        """The next message, kind and payload, if one has arrived.

        Raises:
            EngineError: the child has ended and left no message.
        """
        if not self._messages:
            self._receive()
        return self._messages.popleft() if self._messages else None

    def wait(self, timeout_s: float) -> tuple[bytes, bytes]:
        """The next message, kind and payload, as soon as it arrives.

        Raises:
            EngineError: the child has ended.
            EngineStuckError: no message came in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while (message := self.poll()) is None:
            self._flush()
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise EngineStuckError(f"{self._name} gave no answer within {timeout_s:g} s")
            select.select([self._socket], [self._socket] if self._unsent else [], [], left_s)
        return message

    def close(self) -> None:
        """End the child and wait for its end; at once if it does not end by itself."""
        self._socket.close()
        try:
            self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._stderr.close()

    def kill(self) -> None:
        """End the child at once; ``close`` is still to be called."""
        self._process.kill()
        self._process.wait()

    def _spawn(self, script: Path, child_socket: socket.socket) -> subprocess.Popen[bytes]:
        # -P: the script's folder holds modules named like the libraries that it imports.
        command = [sys.executable, "-P", str(script)]
        if sys.platform == "win32":
            process = subprocess.Popen(  # noqa: S603 - our own script
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._stderr
            )
            with process.stdin as stdin:
                stdin.write(child_socket.share(process.pid))
            return process
        child_number = child_socket.fileno()
        return subprocess.Popen(  # noqa: S603 - our own script
            [*command, str(child_number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            pass_fds=[child_number],
        )

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._ended() from error
            del self._unsent[:sent]

    def _receive(self) -> None:
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                raise self._ended() from error
            if not data:
                if self._messages:
                    break
                raise self._ended()
            self._received += data
            self._split_messages()

    def _split_messages(self) -> None:
        while len(self._received) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._received)
            end = HEADER.size + length
            if len(self._received) < end:
                return
            self._messages.append((kind, bytes(self._received[HEADER.size : end])))
            del self._received[:end]

    def _ended(self) -> EngineError:
        try:
            code: int | str = self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = "none yet"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        last_words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        because = f": {last_words}" if last_words else ""
        return EngineError(f"{self._name}'s process ended (exit code {code}){because}")
