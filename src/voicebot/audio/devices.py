"""The computer's own microphone and loudspeaker, through PortAudio.

Callbacks run on PortAudio's thread: they copy, count and leave. Instants come from the stream's
own ADC and DAC times, mapped to the event loop's clock in each callback.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import soxr

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicebot.audio.samples import Samples

__all__ = ["Microphone", "Speaker", "require_devices"]

_BLOCKS_WAITING_MAX = 500
_SILENT_DEVICE_S = 3.0
_GAP_S = 0.1
_PULL = 0.01
_CLOCK_LEAK_S = 1e-6  # a callback; follows clocks that drift apart by 100 parts in a million


class _DeviceClock:
    """Maps a stream's own time to the event loop's.

    A callback that ran late makes the difference of the two clocks look larger than it is, never
    smaller: the smallest difference seen lately is the true one.
    """

    def __init__(self) -> None:
        self._offset_s = math.inf

    def to_loop(self, instant_s: float, *, current_s: float, now_s: float) -> float:
        """The loop's time of the stream's ``instant_s``, given both clocks' present time."""
        self._offset_s = min(self._offset_s + _CLOCK_LEAK_S, now_s - current_s)
        return instant_s + self._offset_s


class Microphone:
    """An input device as an ``AudioSource``; use as a context manager.

    Args:
        device: name or number; empty for the system's default.
        block_ms: length of a block.

    Raises:
        DeviceError: on entering, when there is no such device or it cannot be opened.
    """

    def __init__(self, device: str, *, block_ms: float) -> None:
        self._device = device
        self._block_ms = block_ms
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[AudioBlock | None] = asyncio.Queue()
        self._stream: Any = None
        self._rate_hz = INPUT_SAMPLE_RATE_HZ
        self._resampler: soxr.ResampleStream | None = None
        self._clock = _DeviceClock()
        self._next_start_s: float | None = None
        self.overruns = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._stream, rate_hz = _open(
            "InputStream", self._device, INPUT_SAMPLE_RATE_HZ, self._block_ms, self._on_audio
        )
        self._rate_hz = rate_hz
        if rate_hz != INPUT_SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                rate_hz, INPUT_SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ"
            )
        self._stream.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def close(self) -> None:
        """End the stream of blocks."""
        self._queue.put_nowait(None)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks as the device delivers them, until ``close``.

        Raises:
            DeviceError: the device has stopped to deliver.
        """
        while True:
            try:
                async with asyncio.timeout(_SILENT_DEVICE_S):
                    block = await self._queue.get()
            except TimeoutError:
                raise DeviceError(
                    f"the microphone has delivered nothing for {_SILENT_DEVICE_S:g} s",
                    "see whether it is still connected, then start again",
                ) from None
            if block is None:
                return
            yield block

    def _on_audio(self, data: Any, frames: int, time: Any, status: Any) -> None:
        del frames
        assert self._loop is not None  # noqa: S101  # set before the stream starts
        if status and status.input_overflow:
            self.overruns += 1
        samples = np.array(data[:, 0], dtype=np.float32)
        duration_s = len(samples) / self._rate_hz
        now_s = self._loop.time()
        adc_s = time.inputBufferAdcTime or time.currentTime - duration_s
        start_s = self._clock.to_loop(adc_s, current_s=time.currentTime, now_s=now_s)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        start_s = self._steady(start_s)
        self._next_start_s = start_s + len(samples) / INPUT_SAMPLE_RATE_HZ
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._deliver, AudioBlock(samples, start_s))

    def _steady(self, measured_s: float) -> float:
        """Instants by sample count, drawn slowly to what is measured; a gap is followed at once."""
        expected_s = self._next_start_s
        if expected_s is None or measured_s > expected_s + _GAP_S:
            return measured_s
        return expected_s + _PULL * (measured_s - expected_s)

    def _deliver(self, block: AudioBlock) -> None:
        if self._queue.qsize() < _BLOCKS_WAITING_MAX:
            self._queue.put_nowait(block)
        else:
            self.overruns += 1


class Speaker:
    """An output device as an ``AudioSink``; use as a context manager.

    Args:
        device: name or number; empty for the system's default.
        sample_rate_hz: of what is written; resampled if the device has another.
        block_ms: length of a block.

    Raises:
        DeviceError: on entering, when there is no such device or it cannot be opened.
    """

    def __init__(self, device: str, *, sample_rate_hz: int, block_ms: float) -> None:
        self._device = device
        self._rate = sample_rate_hz
        self._device_rate = sample_rate_hz
        self._block_ms = block_ms
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stream: Any = None
        self._lock = threading.Lock()
        self._queue: deque[Samples] = deque()
        self._queued = 0
        self._next_dac_s = 0.0  # when the next queued sample leaves
        self._clock = _DeviceClock()
        self._resampler: soxr.ResampleStream | None = None
        self._in_utterance = False
        self._ran_dry = False
        self._underruns = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._stream, self._device_rate = _open(
            "OutputStream", self._device, self._rate, self._block_ms, self._on_demand
        )
        self._next_dac_s = self._loop.time() + self._stream.latency
        self._stream.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is written."""
        return self._rate

    @property
    def underruns(self) -> int:
        """How often an utterance ran dry before its next samples came."""
        return self._underruns

    @property
    def ends_s(self) -> float:
        """The instant behind the last queued sample."""
        with self._lock:
            return self._next_dac_s + self._queued / self._device_rate

    def begin(self) -> None:
        """A new utterance starts."""
        if self._device_rate != self._rate:
            self._resampler = soxr.ResampleStream(
                self._rate, self._device_rate, 1, dtype="float32", quality="HQ"
            )
        with self._lock:
            self._in_utterance = self._ran_dry = False

    def write(self, samples: Samples) -> float:
        """Queue ``samples``; give the DAC time of the first of them."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        with self._lock:
            if self._ran_dry:
                self._underruns += 1
                self._ran_dry = False
            starts_s = self._next_dac_s + self._queued / self._device_rate
            self._queue.append(np.asarray(samples, dtype=np.float32))
            self._queued += len(samples)
            self._in_utterance = True
            return starts_s

    def clear(self) -> float:
        """Drop all that is queued."""
        with self._lock:
            self._queue.clear()
            self._queued = 0
            self._in_utterance = self._ran_dry = False
            return self._next_dac_s

    def _on_demand(self, out: Any, frames: int, time: Any, status: Any) -> None:
        del status
        assert self._loop is not None  # noqa: S101  # set before the stream starts
        now_s = self._loop.time()
        dac_s = time.outputBufferDacTime or time.currentTime + float(self._stream.latency)
        starts_s = self._clock.to_loop(dac_s, current_s=time.currentTime, now_s=now_s)
        with self._lock:
            filled = 0
            while filled < frames and self._queue:
                head = self._queue[0]
                part = head[: frames - filled]
                out[filled : filled + len(part), 0] = part
                filled += len(part)
                if len(part) == len(head):
                    self._queue.popleft()
                else:
                    self._queue[0] = head[len(part) :]
            self._queued -= filled
            self._ran_dry = self._ran_dry or (self._in_utterance and filled < frames)
            out[filled:, 0] = 0.0
            self._next_dac_s = starts_s + frames / self._device_rate


def _sounddevice() -> Any:
    try:
        import sounddevice  # noqa: PLC0415  # loads PortAudio, which only devices need
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing",
            "install it (Debian: apt-get install libportaudio2), or talk from a file with --input",
        ) from error
    return sounddevice


def require_devices(microphone: str, speaker: str) -> None:
    """Find out before anything is loaded that both devices are there.

    Raises:
        DeviceError: one is not.
    """
    _find("input", microphone)
    _find("output", speaker)


def _find(side: str, device: str) -> tuple[int | str | None, int]:
    """What PortAudio calls ``device``, and its own sample rate in Hz."""
    sounddevice = _sounddevice()
    name = "microphone" if side == "input" else "loudspeaker"
    chosen: int | str | None = int(device) if device.isdigit() else (device or None)
    try:
        return chosen, round(sounddevice.query_devices(chosen, side)["default_samplerate"])
    except (sounddevice.PortAudioError, ValueError) as error:
        wanted = f"no {name} called {device!r}" if device else f"no {name} found"
        raise DeviceError(
            wanted, "'voicebot doctor' lists the devices; without one, talk from a file (--input)"
        ) from error


def _open(kind: str, device: str, rate_hz: int, block_ms: float, callback: Any) -> tuple[Any, int]:
    """Open a mono stream, at ``rate_hz`` if the device takes it, else at its own rate."""
    sounddevice = _sounddevice()
    side = "input" if kind == "InputStream" else "output"
    name = "microphone" if side == "input" else "loudspeaker"
    chosen, own_rate_hz = _find(side, device)
    last_error: Exception | None = None
    for attempt_hz in dict.fromkeys((rate_hz, own_rate_hz)):
        try:
            stream = getattr(sounddevice, kind)(
                device=chosen,
                samplerate=attempt_hz,
                blocksize=max(1, round(block_ms * attempt_hz / 1000.0)),
                channels=1,
                dtype="float32",
                latency="low",
                callback=callback,
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            last_error = error
        else:
            return stream, attempt_hz
    raise DeviceError(
        f"the {name} cannot be opened ({last_error})",
        "close other programs that use it, or choose another in the settings",
    )
