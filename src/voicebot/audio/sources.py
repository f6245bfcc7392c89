"""Where the user's audio comes from."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicebot.audio.samples import Samples

__all__ = ["AudioSource", "VirtualMicrophone"]

_ROOM_NOISE_RMS = 10 ** (-80 / 20)  # a microphone never delivers digital silence
_ROOM_NOISE_S = 2.0


class AudioSource(Protocol):
    """An endless or ending stream of input audio."""

    def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks as they become available; may be iterated once."""
        ...


@dataclass(frozen=True, slots=True)
class _Scheduled:
    first_sample: int
    samples: Samples


class VirtualMicrophone:
    """Plays recordings into a session in real time, sample by sample of one schedule.

    A block is delivered when its last sample would have been taken, never before. A late reader
    gets the blocks that are due at once; their instants are those of the schedule.

    Args:
        block_ms: length of a block.
        seed: of the faint room noise (-80 dBFS) beneath everything.
        background: what sounds beneath everything as well, over and over; 16 kHz.
    """

    def __init__(
        self, *, block_ms: float, seed: int = 0, background: Samples | None = None
    ) -> None:
        self._block_samples = max(1, round(block_ms * INPUT_SAMPLE_RATE_HZ / 1000.0))
        noise = np.random.default_rng(seed).standard_normal(
            round(_ROOM_NOISE_S * INPUT_SAMPLE_RATE_HZ)
        )
        self._noise = (noise * _ROOM_NOISE_RMS).astype(np.float32)
        self._background = background
        self._scheduled: list[_Scheduled] = []
        self._next_block = 0
        self._origin_s: float | None = None
        self._closed = False

    def play(self, samples: Samples, *, not_before_s: float = 0.0) -> float:
        """Schedule ``samples`` (16 kHz) from ``not_before_s`` on, after what is scheduled already.

        Returns:
            The instant of their first sample, on the event loop's clock.
        """
        origin_s = self._origin()
        now_sample = (self._next_block + 1) * self._block_samples
        wanted = math.ceil((not_before_s - origin_s) * INPUT_SAMPLE_RATE_HZ)
        after = max((item.first_sample + len(item.samples) for item in self._scheduled), default=0)
        first = max(now_sample, wanted, after)
        self._scheduled.append(_Scheduled(first, samples))
        return origin_s + first / INPUT_SAMPLE_RATE_HZ

    def close(self) -> None:
        """End the stream with the block in hand."""
        self._closed = True

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks, at the pace of real time, until ``close``."""
        loop = asyncio.get_running_loop()
        origin_s = self._origin()
        while not self._closed:
            first = self._next_block * self._block_samples
            due_s = origin_s + (first + self._block_samples) / INPUT_SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            self._next_block += 1
            yield AudioBlock(self._render(first), origin_s + first / INPUT_SAMPLE_RATE_HZ)

    def _origin(self) -> float:
        if self._origin_s is None:
            self._origin_s = asyncio.get_running_loop().time()
        return self._origin_s

    def _render(self, first: int) -> Samples:
        indices = np.arange(first, first + self._block_samples) % len(self._noise)
        block = self._noise[indices]
        if self._background is not None and len(self._background):
            beneath = np.arange(first, first + self._block_samples) % len(self._background)
            block += self._background[beneath]
        for item in self._scheduled:
            start = max(first, item.first_sample)
            end = min(first + self._block_samples, item.first_sample + len(item.samples))
            if start < end:
                block[start - first : end - first] += item.samples[
                    start - item.first_sample : end - item.first_sample
                ]
        self._scheduled = [
            item for item in self._scheduled if item.first_sample + len(item.samples) > first
        ]
        return block
