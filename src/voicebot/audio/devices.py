"""The computer's own microphone and loudspeaker, through PortAudio.

Callbacks run on PortAudio's thread: they copy, count and leave. Instants come from the stream's
own ADC and DAC times, drawn smooth by ``clocks.py``. A device may be exchanged while a
conversation runs (``open`` again); ``desktop.py`` does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.clocks import DeviceTime, StreamClock
from voicebot.audio.played import PlayedTrack
from voicebot.audio.portaudio import Side, find_device, list_devices, open_stream
from voicebot.audio.resampling import StreamResampler
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ, Samples
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.audio.portaudio import Device, OpenStream

__all__ = ["Microphone", "Speaker", "require_devices"]

_log = logging.getLogger("voicebot.audio.devices")

_BLOCKS_WAITING_MAX = 500
_SILENT_DEVICE_S = 3.0
_START_PATIENCE_S = 4.0
_POLL_S = 0.02
_LONGEST_FILL_S = 1.0
_LEADS_KEPT = 8
_FOREVER_S = float("inf")
_NOTHING: Samples = np.zeros(0, dtype=np.float32)
_LOWEST_LATENCY = "low"


def require_devices(microphone: str, speaker: str) -> None:
    """Find out before anything is loaded that both devices are there.

    Raises:
        DeviceError: one is not, or its name means several.
    """
    devices = list_devices()
    find_device(Side.INPUT, microphone, devices)
    find_device(Side.OUTPUT, speaker, devices)


class _Opening:
    """One stream on one device, from its opening to its end."""

    def __init__(self, now_s: float) -> None:
        self.time = DeviceTime()
        self.count = 0  # samples that have passed
        self.given = 0  # samples at 16 kHz that were made of them
        self.resampler: StreamResampler | None = None  # of an input
        self.last_call_s = now_s
        # Of an output: from its latest calls to the DAC times that they asked for.
        self.leads_s: deque[float] = deque(maxlen=_LEADS_KEPT)
        self.has_ended = False

    def take(self, opened: OpenStream) -> None:
        """Know the stream; before it is started."""
        self.stream = opened.stream
        self.device = opened.device
        self.rate_hz = opened.rate_hz
        self.clock = StreamClock(opened.rate_hz)

    def start(self, side: Side) -> None:
        """Start the stream.

        Raises:
            DeviceError: the device refuses.
        """
        try:
            self.stream.start()
        except Exception as error:  # sounddevice's own class, which only it has
            self.close()
            raise DeviceError(
                f"the {side.noun} {self.device.name!r} cannot be started ({error})",
                "close other programs that use it, or choose another ('voicebot devices')",
            ) from error

    def end(self) -> None:
        """PortAudio says that the stream has ended."""
        self.has_ended = True

    def close(self) -> None:
        """Close the stream; a device that is gone may complain, which nobody need know."""
        self.has_ended = True
        with contextlib.suppress(Exception):
            self.stream.close()

    def is_alive(self, now_s: float, patience_s: float) -> bool:
        """Whether the device still asks for or delivers blocks; one that starts may take longer."""
        if not self.count:
            patience_s = max(patience_s, _START_PATIENCE_S)
        silent_s = now_s - self.last_call_s
        if self.has_ended or silent_s > patience_s:
            _log.debug("%r ended=%s, silent %.1f s", self.device.name, self.has_ended, silent_s)
            return False
        return True


class Microphone:
    """An input device as an ``AudioSource``; use as a context manager.

    Args:
        device: name or number; empty for the system's default.
        block_ms: length of a block.

    Raises:
        DeviceError: on entering, when there is no such device or it cannot be opened.
    """

    def __init__(self, device: str, *, block_ms: float) -> None:
        self._wanted = device
        self._block_ms = block_ms
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[AudioBlock | None] = asyncio.Queue()
        self._opening: _Opening | None = None
        self._newest_s = self._ends_s = self._silence_ends_s = float("-inf")
        self._is_away = False
        self.overruns = 0

    def __enter__(self) -> Self:
        self.join_loop()
        self.open(find_device(Side.INPUT, self._wanted, list_devices()))
        return self

    def __exit__(self, *exception: object) -> None:
        self.shut()

    @property
    def device(self) -> Device | None:
        """What is recorded from; None while it is away."""
        return self._opening.device if self._opening is not None else None

    def open(self, device: Device, latency: float | str = _LOWEST_LATENCY) -> None:
        """Record from ``device`` from now on.

        Raises:
            DeviceError: it cannot be opened.
        """
        assert self._loop is not None  # noqa: S101  # entered first
        opening = _Opening(self._loop.time())
        opened = open_stream(
            Side.INPUT,
            device,
            rate_hz=INPUT_SAMPLE_RATE_HZ,
            block_ms=self._block_ms,
            latency=latency,
            callback=lambda *call: self._on_audio(opening, *call),
            finished=opening.end,
        )
        opening.take(opened)
        if opened.rate_hz != INPUT_SAMPLE_RATE_HZ:
            opening.resampler = StreamResampler(opened.rate_hz, INPUT_SAMPLE_RATE_HZ)
        self._opening = opening
        self._is_away = False
        opening.start(Side.INPUT)

    def join_loop(self) -> None:
        """Belong to the running event loop; before the first ``open``."""
        self._loop = asyncio.get_running_loop()

    def shut(self) -> None:
        """Stop recording."""
        if self._opening is not None:
            self._opening.close()

    def is_alive(self, patience_s: float) -> bool:
        """Whether the device has delivered something within ``patience_s``."""
        assert self._loop is not None  # noqa: S101  # entered first
        return self._opening is not None and self._opening.is_alive(self._loop.time(), patience_s)

    @property
    def mishaps(self) -> int:
        """How often the driver lost samples because nobody took them in time."""
        return self.overruns

    def be_away(self) -> Callable[[], None]:
        """Give silence instead of nothing until a device is opened again.

        Returns:
            What closes the device; it may block.
        """
        self._is_away = True
        opening, self._opening = self._opening, None
        return opening.close if opening is not None else _do_nothing

    def close(self) -> None:
        """End the stream of blocks."""
        self._queue.put_nowait(None)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks as the device delivers them, until ``close``.

        Raises:
            DeviceError: the device has stopped to deliver, and nobody looks for another.
        """
        delivered_s = _now()
        while True:
            try:
                async with asyncio.timeout(_POLL_S):
                    block = await self._queue.get()
            except TimeoutError:
                if self._is_away:
                    self._fill_with_silence(_now())
                elif _now() - delivered_s > _SILENT_DEVICE_S:
                    raise DeviceError(
                        f"the microphone has delivered nothing for {_SILENT_DEVICE_S:g} s",
                        "see whether it is still connected, then start again",
                    ) from None
                continue
            if block is None:
                return
            delivered_s = _now()
            yield block

    def _on_audio(self, opening: _Opening, data: Any, frames: int, time: Any, status: Any) -> None:
        assert self._loop is not None  # noqa: S101  # set before the stream starts
        now_s = opening.last_call_s = self._loop.time()
        if status and status.input_overflow:
            self.overruns += 1
        adc_s = time.inputBufferAdcTime or time.currentTime - frames / opening.rate_hz
        start_s = opening.time.to_loop(adc_s, current_s=time.currentTime, now_s=now_s)
        opening.clock.observe(opening.count, start_s)
        first_s = opening.clock.instant_of(opening.count)
        index, opening.count = opening.count, opening.count + frames
        samples = data[:, 0].copy()  # PortAudio takes its buffer back
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._deliver, opening, samples, index, first_s)

    def _deliver(self, opening: _Opening, samples: Samples, index: int, first_s: float) -> None:
        if opening is not self._opening:
            return
        if opening.resampler is not None:
            # What comes out begins a little before what went in.
            at = opening.given * opening.rate_hz / INPUT_SAMPLE_RATE_HZ
            first_s -= (index - at) / opening.rate_hz
            samples = opening.resampler.push(samples)
            opening.given += len(samples)
        if first_s < self._silence_ends_s:  # silence stood in for this already
            skipped = round((self._silence_ends_s - first_s) * INPUT_SAMPLE_RATE_HZ)
            first_s += skipped / INPUT_SAMPLE_RATE_HZ
            samples = samples[skipped:]
        if not len(samples):
            return
        if self._queue.qsize() >= _BLOCKS_WAITING_MAX:
            self.overruns += 1
            return
        self._hand_on(AudioBlock(samples, max(first_s, self._newest_s)))

    def _hand_on(self, block: AudioBlock) -> None:
        self._newest_s = block.start_s
        self._ends_s = block.end_s
        self._queue.put_nowait(block)

    def _fill_with_silence(self, until_s: float) -> None:
        """While the device is away: time goes on, and turns must end."""
        start_s = max(self._ends_s, until_s - _LONGEST_FILL_S)
        count = round((until_s - start_s) * INPUT_SAMPLE_RATE_HZ)
        if count > 0:
            self._silence_ends_s = start_s + count / INPUT_SAMPLE_RATE_HZ
            self._hand_on(AudioBlock(np.zeros(count, dtype=np.float32), start_s))


class Speaker:
    """An output device as an ``AudioSink`` and ``FarEnd``; use as a context manager.

    Args:
        device: name or number; empty for the system's default.
        sample_rate_hz: of what is written; resampled if the device has another.
        block_ms: length of a block.

    Raises:
        DeviceError: on entering, when there is no such device or it cannot be opened.
    """

    def __init__(self, device: str, *, sample_rate_hz: int, block_ms: float) -> None:
        self._wanted = device
        self._rate = sample_rate_hz
        self._block_ms = block_ms
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()  # held for microseconds
        self._opening: _Opening | None = None
        self._played: PlayedTrack | None = None
        self._resampler: StreamResampler | None = None
        self._queue: deque[Samples] = deque()
        self._queued = 0
        self._tail: Samples = _NOTHING  # what the resampler still holds, if nothing follows
        self._latency_s = 0.0
        self._rate_when_away_hz = sample_rate_hz
        self._sound_ends_s = 0.0  # behind the last sample that was handed to the device
        self._in_utterance = False
        self._ran_dry = False
        self._underruns = 0
        self.device_underruns = 0

    def __enter__(self) -> Self:
        self.join_loop()
        self.open(find_device(Side.OUTPUT, self._wanted, list_devices()))
        return self

    def __exit__(self, *exception: object) -> None:
        self.shut()

    @property
    def device(self) -> Device | None:
        """What is played on; None while it is away."""
        return self._opening.device if self._opening is not None else None

    @property
    def latency_s(self) -> float:
        """How long a sample takes through the device, as its driver says."""
        return self._latency_s

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
        """The instant behind the last queued sample; in the past when nothing is queued."""
        with self._lock:
            waiting = self._queued + len(self._tail)
            if not waiting:
                return self._sound_ends_s
            return self._next_dac_s() + waiting / self._device_rate_hz()

    @property
    def leaving_known_until_s(self) -> float:
        """The instant up to which it is settled what leaves the loudspeaker."""
        return self._played.known_until_s if self._played is not None else _FOREVER_S

    def leaving(self, start_s: float, count: int) -> Samples:
        """What leaves the loudspeaker from ``start_s`` on; see ``FarEnd``."""
        if self._played is None:
            return np.zeros(count, dtype=np.float32)
        return self._played.leaving(start_s, count)

    def open(self, device: Device, latency: float | str = _LOWEST_LATENCY) -> None:
        """Play on ``device`` from now on, first what is still queued.

        Raises:
            DeviceError: it cannot be opened.
        """
        assert self._loop is not None  # noqa: S101  # entered first
        opening = _Opening(self._loop.time())
        opened = open_stream(
            Side.OUTPUT,
            device,
            rate_hz=self._rate,
            block_ms=self._block_ms,
            latency=latency,
            callback=lambda *call: self._on_demand(opening, *call),
            finished=opening.end,
        )
        opening.take(opened)
        with self._lock:
            rate_before_hz = self._device_rate_hz()
            self._latency_s = float(opened.stream.latency)
            self._played = PlayedTrack(opened.rate_hz, opening.clock)
            self._opening = opening
            self._requeue(rate_before_hz, opened.rate_hz)
        opening.start(Side.OUTPUT)

    def join_loop(self) -> None:
        """Belong to the running event loop; before the first ``open``."""
        self._loop = asyncio.get_running_loop()
        self._sound_ends_s = self._loop.time()

    def shut(self) -> None:
        """Stop playing."""
        if self._opening is not None:
            self._opening.close()

    def is_alive(self, patience_s: float) -> bool:
        """Whether the device has asked for something within ``patience_s``."""
        assert self._loop is not None  # noqa: S101  # entered first
        return self._opening is not None and self._opening.is_alive(self._loop.time(), patience_s)

    @property
    def mishaps(self) -> int:
        """How often the driver had nothing to play because nobody gave it in time."""
        return self.device_underruns

    def be_away(self) -> Callable[[], None]:
        """Keep what is queued until a device is opened again.

        Returns:
            What closes the device; it may block.
        """
        with self._lock:
            self._rate_when_away_hz = self._device_rate_hz()
            opening, self._opening, self._played = self._opening, None, None
        return opening.close if opening is not None else _do_nothing

    def begin(self) -> None:
        """A new utterance starts."""
        with self._lock:
            self._resampler = None
            self._in_utterance = self._ran_dry = False
            self._settle_tail()

    def write(self, samples: Samples) -> float:
        """Queue ``samples``; give the DAC time of the first of them."""
        samples = np.asarray(samples, dtype=np.float32)
        while True:
            resampler = self._resampler_for_write()
            resampled, tail = samples, _NOTHING
            if resampler is not None:  # which takes too long for the device to wait
                resampled, tail = resampler.push(samples), resampler.tail()
            with self._lock:
                is_as_planned = resampler is self._resampler and (
                    resampler is not None or self._device_rate_hz() == self._rate
                )
                if is_as_planned:
                    starts_s = self._next_dac_s() + self._queued / self._device_rate_hz()
                    self._queue.append(resampled)
                    self._queued += len(resampled)
                    self._tail = tail
                    self._in_utterance = True
                    return starts_s
            # The device has taken the tail meanwhile, or is another one: it begins anew.

    def _resampler_for_write(self) -> StreamResampler | None:
        """What makes the device's samples of the next that are written; None if they are that."""
        with self._lock:
            if self._ran_dry:
                self._underruns += 1
                self._ran_dry = False
                self._resampler = None
            if self._resampler is None and self._device_rate_hz() != self._rate:
                self._settle_tail()
                self._resampler = StreamResampler(self._rate, self._device_rate_hz())
            return self._resampler

    def clear(self) -> float:
        """Drop all that is queued."""
        with self._lock:
            self._queue.clear()
            self._queued = 0
            self._tail = _NOTHING
            self._resampler = None
            self._in_utterance = self._ran_dry = False
            return self._sound_ends_s

    def _on_demand(self, opening: _Opening, out: Any, frames: int, time: Any, status: Any) -> None:
        assert self._loop is not None  # noqa: S101  # set before the stream starts
        now_s = opening.last_call_s = self._loop.time()
        if status and status.output_underflow:
            self.device_underruns += 1
        dac_s = time.outputBufferDacTime or time.currentTime + self._latency_s
        starts_s = opening.time.to_loop(dac_s, current_s=time.currentTime, now_s=now_s)
        with self._lock:
            if opening is not self._opening or self._played is None:
                out[:] = 0.0
                return
            filled = self._fill(out, 0)
            if filled < frames and len(self._tail):
                self._settle_tail()
                self._resampler = None
                filled = self._fill(out, filled)
            self._ran_dry = self._ran_dry or (self._in_utterance and filled < frames)
            out[filled:] = 0.0
            opening.clock.observe(opening.count, starts_s)
            opening.leads_s.append(starts_s - now_s)
            if filled:
                self._sound_ends_s = opening.clock.instant_of(opening.count + filled)
            opening.count += frames
            self._played.push(out[:, 0])

    def _fill(self, out: Any, filled: int) -> int:
        """Move queued samples to ``out`` from ``filled`` on; gives how far it is filled then."""
        begun = filled
        while filled < len(out) and self._queue:
            head = self._queue[0]
            part = head[: len(out) - filled]
            out[filled : filled + len(part)] = part[:, None]
            filled += len(part)
            if len(part) == len(head):
                self._queue.popleft()
            else:
                self._queue[0] = head[len(part) :]
        self._queued -= filled - begun
        return filled

    def _settle_tail(self) -> None:
        """Nothing follows what the resampler holds: it is played as it is."""
        if len(self._tail):
            self._queue.append(self._tail)
            self._queued += len(self._tail)
            self._tail = _NOTHING

    def _requeue(self, from_hz: int, to_hz: int) -> None:
        """What was queued for a device of another rate is played on the new one."""
        self._settle_tail()
        self._resampler = None
        if from_hz == to_hz or not self._queued:
            return
        resampler = StreamResampler(from_hz, to_hz)
        queued = np.concatenate(tuple(self._queue))
        whole = np.concatenate((resampler.push(queued), resampler.tail()))
        self._queue = deque([whole])
        self._queued = len(whole)

    def _device_rate_hz(self) -> int:
        return self._opening.rate_hz if self._opening is not None else self._rate_when_away_hz

    def _next_dac_s(self) -> float:
        """When the next queued sample leaves, rather too late than too early.

        The device will ask for it now at the earliest, and plays it as long afterwards as what it
        has asked for lately: the least of that, since some ask for several blocks at once.
        """
        assert self._loop is not None  # noqa: S101  # entered first
        now_s, opening = self._loop.time(), self._opening
        if opening is None or not opening.clock.is_set:
            return now_s + self._latency_s
        due_s = opening.clock.instant_of(opening.count)
        if due_s <= now_s:  # it has run dry, and fills its buffer anew
            return now_s + max(self._latency_s, *opening.leads_s)
        return max(due_s, now_s + min(opening.leads_s))


def _do_nothing() -> None:
    pass


def _now() -> float:
    return asyncio.get_running_loop().time()
