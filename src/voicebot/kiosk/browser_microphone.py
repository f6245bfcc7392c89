"""The browser as an ``AudioSource``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.resampling import StreamResampler
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.kiosk.clocks import CaptureClock
from voicebot.kiosk.protocol import ProtocolError, to_float

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicebot.audio.samples import Samples
    from voicebot.kiosk.clocks import PageClock
    from voicebot.kiosk.protocol import MicrophoneFrame

__all__ = ["CAPTURE_RATES_HZ", "BrowserMicrophone"]

CAPTURE_RATES_HZ = range(8_000, 192_001)

_BLOCKS_WAITING_MAX = 500
_QUIET_AFTER_S = 0.25  # without a frame for so long, silence stands in
_QUIET_BLOCK_S = 0.02
_GAP_S = 0.1
_PULL = 0.01
_EARLY_S = 0.005


class _Capture:
    """One connection's stream of frames, brought to 16 kHz."""

    def __init__(self, rate_hz: int, page_clock: PageClock, *, input_latency_s: float) -> None:
        self.rate_hz = rate_hz
        self.page_clock = page_clock
        self.clock = CaptureClock(rate_hz, input_latency_s=input_latency_s)
        self.next_sequence = 0
        self.next_sample = -1
        self._resampler: StreamResampler | None = None
        self._held_back = 0.0  # samples at 16 kHz that the resampler has not given yet

    def resampled(self, samples: Samples, *, goes_on: bool) -> tuple[Samples, float]:
        """``samples`` at 16 kHz, and how long before them what is given begins, in seconds."""
        if self.rate_hz == INPUT_SAMPLE_RATE_HZ:
            return samples, 0.0
        if self._resampler is None or not goes_on:
            self._resampler = StreamResampler(self.rate_hz, INPUT_SAMPLE_RATE_HZ)
            self._held_back = 0.0
        before = self._held_back
        given = self._resampler.push(samples)
        self._held_back += len(samples) * INPUT_SAMPLE_RATE_HZ / self.rate_hz - len(given)
        return given, before / INPUT_SAMPLE_RATE_HZ


class BrowserMicrophone:
    """Takes the frames of whichever page has the seat; silence stands in while there is none.

    So the session's time goes on when the connection is lost in the middle of a word: the turn
    ends by itself, and nothing waits for a page that does not come back.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[AudioBlock | None] = asyncio.Queue()
        self._capture: _Capture | None = None
        self._ends_s: float | None = None
        self._frame_at_s = float("-inf")
        self.lost_samples = 0
        self.overruns = 0

    @property
    def is_attached(self) -> bool:
        """Whether a page is the microphone."""
        return self._capture is not None

    @property
    def last_frame_s(self) -> float:
        """When the last frame came, on the loop's clock; minus infinity without one."""
        return self._frame_at_s

    def attach(self, rate_hz: int, page_clock: PageClock, *, input_latency_s: float) -> None:
        """From now on frames of this rate and clock come.

        Raises:
            ProtocolError: no microphone has that rate.
        """
        if rate_hz not in CAPTURE_RATES_HZ:
            raise ProtocolError(f"a microphone at {rate_hz} Hz")
        self._capture = _Capture(rate_hz, page_clock, input_latency_s=input_latency_s)
        self._frame_at_s = asyncio.get_running_loop().time()

    def detach(self) -> None:
        """The page is gone."""
        self._capture = None

    def close(self) -> None:
        """End the stream of blocks."""
        self._queue.put_nowait(None)

    def push(self, frame: MicrophoneFrame) -> None:
        """Take a frame; one that comes before its page is attached counts for nothing.

        Raises:
            ProtocolError: it is not later than the last one.
        """
        capture = self._capture
        if capture is None:
            return
        if frame.sequence < capture.next_sequence or frame.first_sample < capture.next_sample:
            raise ProtocolError("a microphone frame from the past")
        goes_on = frame.first_sample == capture.next_sample
        if not goes_on and capture.next_sample >= 0:
            self.lost_samples += frame.first_sample - capture.next_sample
        capture.next_sequence = frame.sequence + 1
        capture.next_sample = frame.first_sample + len(frame.samples)
        now_s = self._frame_at_s = asyncio.get_running_loop().time()
        if not capture.page_clock.is_known:
            return
        page_s = capture.clock.page_s(
            frame.first_sample, len(frame.samples), in_hand_s=frame.page_ms / 1000.0
        )
        starts_s = capture.page_clock.to_server(page_s, now_s=now_s)
        samples, before_s = capture.resampled(to_float(frame.samples), goes_on=goes_on)
        self._deliver(samples, min(starts_s - before_s, now_s))

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks as they come, until ``close``."""
        loop = asyncio.get_running_loop()
        self._ends_s = None
        while not self._queue.empty():
            self._queue.get_nowait()
        heard_to_s = loop.time()
        while True:
            try:
                async with asyncio.timeout(_QUIET_AFTER_S):
                    block = await self._queue.get()
            except TimeoutError:
                async for quiet in self._quiet(heard_to_s):
                    heard_to_s = quiet.end_s
                    yield quiet
                continue
            if block is None:
                return
            heard_to_s = block.end_s
            yield block

    async def _quiet(self, from_s: float) -> AsyncIterator[AudioBlock]:
        """Silence up to now and on, until there is something else."""
        loop = asyncio.get_running_loop()
        count = round(_QUIET_BLOCK_S * INPUT_SAMPLE_RATE_HZ)
        while self._queue.empty():
            if from_s + _QUIET_BLOCK_S > loop.time():
                await asyncio.sleep(from_s + _QUIET_BLOCK_S - loop.time())
                continue
            yield AudioBlock(np.zeros(count, dtype=np.float32), from_s)
            from_s += _QUIET_BLOCK_S
            self._ends_s = from_s

    def _deliver(self, samples: Samples, measured_s: float) -> None:
        starts_s = self._steady(measured_s)
        if self._ends_s is not None and starts_s < self._ends_s - _EARLY_S:
            # Silence has stood in for it already.
            samples = samples[round((self._ends_s - starts_s) * INPUT_SAMPLE_RATE_HZ) :]
            starts_s = self._ends_s
        if not len(samples):
            return
        if self._queue.qsize() >= _BLOCKS_WAITING_MAX:
            self.overruns += 1
            return
        block = AudioBlock(samples, starts_s)
        self._ends_s = block.end_s
        self._queue.put_nowait(block)

    def _steady(self, measured_s: float) -> float:
        """Instants by sample count, drawn slowly to what is measured; a gap is followed at once."""
        expected_s = self._ends_s
        if expected_s is None or abs(measured_s - expected_s) > _GAP_S:
            return measured_s
        return expected_s + _PULL * (measured_s - expected_s)
