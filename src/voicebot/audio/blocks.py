"""Blocks of input audio with their instants, and the frames that are cut from them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples

__all__ = ["AudioBlock", "Framer", "RecentAudio"]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A stretch of input audio.

    Attributes:
        samples: shape (n,), float32, 16 kHz.
        start_s: the instant on the session's clock at which its first sample was taken (ADC time).
    """

    samples: Samples
    start_s: float

    @property
    def end_s(self) -> float:
        """The instant behind its last sample."""
        return self.start_s + len(self.samples) / INPUT_SAMPLE_RATE_HZ


class Framer:
    """Cuts a stream of blocks into frames of equal length, whatever the blocks' length is.

    Args:
        frame_samples: samples a frame.
    """

    def __init__(self, frame_samples: int) -> None:
        self._frame_samples = frame_samples
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._rest_start_s = float("-inf")

    def push(self, block: AudioBlock) -> Iterator[AudioBlock]:
        """Yield every frame that ``block`` completes; the rest waits for the next block."""
        samples = np.concatenate((self._rest, block.samples))
        count = len(samples) // self._frame_samples
        # Instants follow the newest block's own time, so that a device's clock is followed too;
        # no frame begins before the one before it has ended.
        start_s = block.end_s - len(samples) / INPUT_SAMPLE_RATE_HZ
        start_s = max(start_s, self._rest_start_s)
        for index in range(count):
            at = index * self._frame_samples
            yield AudioBlock(
                samples[at : at + self._frame_samples], start_s + at / INPUT_SAMPLE_RATE_HZ
            )
        self._rest = samples[count * self._frame_samples :]
        self._rest_start_s = start_s + count * self._frame_samples / INPUT_SAMPLE_RATE_HZ


class RecentAudio:
    """The latest blocks, up to a length.

    Args:
        seconds: how much is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._blocks: deque[AudioBlock] = deque()

    @property
    def end_s(self) -> float:
        """The instant behind the newest sample; minus infinity before the first block."""
        return self._blocks[-1].end_s if self._blocks else float("-inf")

    def push(self, block: AudioBlock) -> None:
        """Add the newest block and forget what is too old."""
        self._blocks.append(block)
        while self._blocks[0].end_s < block.end_s - self._seconds:
            self._blocks.popleft()

    def since(self, instant_s: float) -> Samples:
        """All that is kept from ``instant_s`` on, to the sample; shape (n,), float32."""
        parts = []
        for block in self._blocks:
            skip = round((instant_s - block.start_s) * INPUT_SAMPLE_RATE_HZ)
            if skip < len(block.samples):
                parts.append(block.samples[max(0, skip) :])
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
