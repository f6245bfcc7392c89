"""The virtual room's two ends, through PulseAudio's own clients ``pacat`` and ``parec``."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from voicebot.acoustic.pulse_server import dying_with_us, require_program
from voicebot.acoustic.recording_file import recording_file
from voicebot.acoustic.tape import Tape
from voicebot.acoustic.virtual_room import (
    CALLER_SINK,
    ROOM_MONITOR,
    ROOM_RATE_HZ,
    ROOM_SINK,
)
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from voicebot.acoustic.virtual_room import VirtualRoom
    from voicebot.audio.samples import Samples

__all__ = ["PulsePorts", "pulse_ports"]

_RECORD_LATENCY_MS = 10
_PLAY_LATENCY_MS = 400  # ample: when the clip begins does not matter, that it has no gaps does
_READ_BYTES = 1 << 16
_SILENT_S = 3.0
_STOP_TIMEOUT_S = 5.0
_FRAME_BYTES = 8


class _PulsePlaying:
    """``pacat`` with a clip."""

    def __init__(self, process: subprocess.Popen[bytes], content: bytes) -> None:
        self._process = process
        self._feeder = threading.Thread(target=self._feed, args=(content,), daemon=True)
        self._feeder.start()

    def _feed(self, content: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        try:
            with self._process.stdin as pipe:
                pipe.write(content)
        except OSError:
            return  # it was stopped, or it failed: then its exit code says so

    def is_over(self) -> bool:
        code = self._process.poll()
        if code:
            raise DeviceError(
                "the caller cannot be played: the sound server has closed the connection",
                "see whether it is still running",
            )
        return code is not None

    def stop(self) -> None:
        _end(self._process)
        self._feeder.join(_STOP_TIMEOUT_S)


class PulsePorts:
    """See ``RoomPorts``; made by ``pulse_ports``."""

    def __init__(self, room: VirtualRoom, tape: Tape, recorder: subprocess.Popen[bytes]) -> None:
        self._room = room
        self._recorder = recorder
        self.tape = tape
        self.play_rate_hz = ROOM_RATE_HZ
        self._seen_end, self._seen_at_s = 0, time.monotonic()

    def play(self, samples: Samples) -> _PulsePlaying:
        """Let the caller speak; shape (n,) at ``play_rate_hz``."""
        return self._begin(CALLER_SINK, samples[:, np.newaxis])

    def play_both(self, frames: NDArray[np.float32]) -> _PulsePlaying:
        """Play to both channels of the room at once; shape (n, 2), the caller left."""
        return self._begin(ROOM_SINK, frames)

    def _begin(self, sink: str, frames: NDArray[np.float32]) -> _PulsePlaying:
        command = _client("pacat", "--playback", sink, frames.shape[1], _PLAY_LATENCY_MS)
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            command,
            env=dict(self._room.server.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return _PulsePlaying(process, frames.astype("<f4").tobytes())

    def check(self) -> None:
        """Find out whether the recording goes on.

        Raises:
            DeviceError: the recorder has ended, or gives nothing.
            OutputError: what shall be kept cannot be written.
        """
        self.tape.check()
        now_s = time.monotonic()
        if self.tape.end > self._seen_end:
            self._seen_end, self._seen_at_s = self.tape.end, now_s
        if self._recorder.poll() is not None:
            raise DeviceError(
                "the recording of the virtual room has ended: the sound server is gone",
                "start again",
            )
        if now_s - self._seen_at_s > _SILENT_S:
            raise DeviceError(
                f"the sound server has given nothing to record for {_SILENT_S:g} s",
                "see whether it hangs; PipeWire needs a session manager such as WirePlumber",
            )


@contextmanager
def pulse_ports(room: VirtualRoom, keep: Path | None = None) -> Iterator[PulsePorts]:
    """Record the room until the context is left.

    Args:
        room: open.
        keep: a file for the whole recording.

    Raises:
        DeviceError: PulseAudio's clients are not installed.
        OutputError: the file cannot be opened.
    """
    with ExitStack() as opened:
        kept = None
        if keep is not None:
            kept = opened.enter_context(recording_file(keep, ROOM_RATE_HZ, 2))
        tape = Tape(ROOM_RATE_HZ, 2, kept)
        yield PulsePorts(room, tape, opened.enter_context(_recorder(room, tape)))


@contextmanager
def _recorder(room: VirtualRoom, tape: Tape) -> Iterator[subprocess.Popen[bytes]]:
    recorder = subprocess.Popen(  # noqa: S603 - our own arguments
        _client("parec", "--record", ROOM_MONITOR, 2, _RECORD_LATENCY_MS),
        env=dict(room.server.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    reader = threading.Thread(target=_read, args=(recorder, tape), daemon=True)
    reader.start()
    try:
        yield recorder
    finally:
        _end(recorder)
        reader.join(_STOP_TIMEOUT_S)
        if recorder.stdout is not None:
            recorder.stdout.close()


def _client(program: str, direction: str, device: str, channels: int, latency_ms: int) -> list[str]:
    return dying_with_us(
        [
            require_program(program),
            direction,
            "--raw",
            f"--device={device}",
            "--format=float32le",
            f"--rate={ROOM_RATE_HZ}",
            f"--channels={channels}",
            f"--latency-msec={latency_ms}",
            "--client-name=voicebot acoustic",
        ]
    )


def _read(recorder: subprocess.Popen[bytes], tape: Tape) -> None:
    assert recorder.stdout is not None  # noqa: S101 - it was asked for
    rest = b""
    while content := os.read(recorder.stdout.fileno(), _READ_BYTES):
        heard_at_s = time.time()
        content = rest + content
        whole = len(content) - len(content) % _FRAME_BYTES
        rest = content[whole:]
        frames = np.frombuffer(content[:whole], dtype="<f4").reshape(-1, 2)
        tape.append(frames.astype(np.float32, copy=False), heard_at_s=heard_at_s)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
