"""An assistant whose latency is known: it beeps so many milliseconds after it heard speech end.

``python -m voicebot.acoustic.loopback_assistant DEVICE DELAY_MS LOG``. It counts by its device's
own ADC and DAC times, as every program must that does not hear itself, and writes a log of turns
like that of ``telemetry.turn_log``. What is measured beyond the delay is the error of those times.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from voicebot.audio.loudness import AUDIBLE_LEVEL_DBFS

__all__ = ["EndOfSound", "beep", "main"]

_RATE_HZ = 48_000
_BLOCK_FRAMES = 480
_HOLD_S = 0.1
_BEEP_S = 0.3
_BEEP_HZ = 1_000.0
_BEEP_AMPLITUDE = 0.3
_LEVEL = 10.0 ** (AUDIBLE_LEVEL_DBFS / 20.0)


class EndOfSound:
    """Finds where sound ends: the last sample above -45 dBFS before 100 ms of silence."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._last_s: float | None = None

    def push(self, samples: np.ndarray, starts_s: float) -> float | None:
        """Take a block; give the instant behind the last sound once it is over, else None.

        Args:
            samples: shape (n,).
            starts_s: the instant of its first sample.
        """
        loud = np.flatnonzero(np.abs(samples) > _LEVEL)
        if loud.size:
            self._last_s = starts_s + (int(loud[-1]) + 1) / self._rate_hz
        ends_s = starts_s + len(samples) / self._rate_hz
        if self._last_s is None or ends_s - self._last_s < _HOLD_S:
            return None
        ended_s, self._last_s = self._last_s, None
        return ended_s


def beep(sample_rate_hz: int) -> np.ndarray:
    """A tone that begins at full strength; shape (n,), float32."""
    at_s = np.arange(round(_BEEP_S * sample_rate_hz)) / sample_rate_hz
    tone = _BEEP_AMPLITUDE * np.cos(2.0 * math.pi * _BEEP_HZ * at_s)
    samples: np.ndarray = tone.astype(np.float32)
    return samples


class _Loopback:
    """Two streams of one device. Their times are on PortAudio's one clock."""

    def __init__(self, delay_ms: float, log: Path) -> None:
        self._delay_s = delay_ms / 1000.0
        self._log = log
        self._end = EndOfSound(_RATE_HZ)
        self._beep = beep(_RATE_HZ)
        self._due_s: float | None = None
        self._clock_offset_s = 0.0
        self.turn = threading.Event()
        self.facts: dict[str, object] = {}

    def on_audio(self, data: Any, frames: int, times: Any, status: Any) -> None:
        del frames, status
        ended_s = self._end.push(data[:, 0], times.inputBufferAdcTime)
        if ended_s is not None:
            self._clock_offset_s = time.time() - times.currentTime
            self._due_s = ended_s + self._delay_s
            self.facts = {
                "outcome": "answered",
                "latency_ms": self._delay_s * 1000.0,
                "speech_end_at": self._instant(ended_s),
                "first_sample_at": self._instant(self._due_s),
            }

    def on_demand(self, out: Any, frames: int, times: Any, status: Any) -> None:
        del status
        out[:, 0] = 0.0
        due_s = self._due_s
        if due_s is None:
            return
        # Where the beep's first sample lies in this block, by its DAC time.
        at = round((due_s - times.outputBufferDacTime) * _RATE_HZ)
        if at >= frames:
            return
        begin = max(0, at)
        part = self._beep[begin - at : frames - at]
        out[begin : begin + len(part), 0] = part
        if frames - at >= len(self._beep):
            self._due_s = None
            self.turn.set()

    def write_log(self) -> None:
        """Append the turn that is over."""
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.facts) + "\n")

    def _instant(self, at_s: float) -> str:
        return datetime.fromtimestamp(at_s + self._clock_offset_s, UTC).isoformat()


def main(device: str, delay_ms: float, log: Path) -> None:
    """Listen and beep until the process is ended."""
    import sounddevice  # noqa: PLC0415 - loads PortAudio, which the pure parts do not need

    loopback = _Loopback(delay_ms, log)
    common = {
        "device": device,
        "samplerate": _RATE_HZ,
        "blocksize": _BLOCK_FRAMES,
        "channels": 1,
        "dtype": "float32",
        "latency": "low",
    }
    with (
        sounddevice.InputStream(**common, callback=loopback.on_audio),
        sounddevice.OutputStream(**common, callback=loopback.on_demand),
    ):
        while True:
            loopback.turn.wait()
            loopback.turn.clear()
            loopback.write_log()


if __name__ == "__main__":
    try:
        main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
    except KeyboardInterrupt:
        sys.exit(130)
