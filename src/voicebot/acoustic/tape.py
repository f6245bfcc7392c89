"""The recording while it is made: the last minutes of it, and when each sample was heard."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.acoustic.recording_file import RecordingFile
    from voicebot.audio.samples import Samples

__all__ = ["KEPT_S", "Tape"]

KEPT_S = 180.0
"""So much of the recording stays in memory: a clip and the reply to it."""

_CLOCK_LEAK = 1e-4  # the clocks of a sound card and of the computer differ by no more than this


class Tape:
    """Takes blocks from the recorder's thread; read from any other.

    Args:
        sample_rate_hz: of the recording.
        channels: 1, or 2 with the caller left and the bot right.
        keep: takes every block as well; None to keep nothing.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        keep: RecordingFile | None = None,
    ) -> None:
        self._keep = keep
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self._lock = threading.Lock()
        self._blocks: deque[NDArray[np.float32]] = deque()
        self._first = 0
        self._end = 0
        self._offset_s = math.inf

    @property
    def end(self) -> int:
        """Index behind the last sample."""
        return self._end

    @property
    def end_s(self) -> float:
        """The recording's length in seconds."""
        return self._end / self.sample_rate_hz

    def check(self) -> None:
        """Find out whether what shall be kept could be written.

        Raises:
            OutputError: it could not.
        """
        if self._keep is not None and self._keep.failure is not None:
            raise self._keep.failure

    def append(self, frames: NDArray[np.float32], *, heard_at_s: float) -> None:
        """Take a block.

        Args:
            frames: shape (n, channels); kept, not copied.
            heard_at_s: Unix time at which its last sample was known to be over. A block that came
                late tells little; the earliest of the recent ones sets the clock.
        """
        if self._keep is not None:
            self._keep.write(frames)
        with self._lock:
            self._blocks.append(frames)
            self._end += len(frames)
            leak_s = _CLOCK_LEAK * len(frames) / self.sample_rate_hz
            offset_s = heard_at_s - self._end / self.sample_rate_hz
            self._offset_s = min(self._offset_s + leak_s, offset_s)
            while self._end - self._first - len(self._blocks[0]) >= KEPT_S * self.sample_rate_hz:
                self._first += len(self._blocks.popleft())

    def unix_time_s(self, at_s: float) -> float:
        """When the sample at ``at_s`` seconds of the recording was heard, as Unix time."""
        return at_s + self._offset_s

    def channel(self, number: int, since: int, until: int | None = None) -> tuple[Samples, int]:
        """A stretch of one channel, and the index at which it begins.

        Args:
            number: 0 is the caller, 1 the bot.
            since: index of the first sample; later, if that one is forgotten.
            until: index behind the last one; None for all there is.
        """
        with self._lock:
            blocks, at = list(self._blocks), self._first
        wanted: list[NDArray[np.float32]] = []
        begin: int | None = None
        for block in blocks:
            if at + len(block) > since and (until is None or at < until):
                low = max(0, since - at)
                high = len(block) if until is None else min(len(block), until - at)
                if begin is None:
                    begin = at + low
                wanted.append(block[low:high, number])
            at += len(block)
        if begin is None:
            return np.zeros(0, dtype=np.float32), since
        return np.concatenate(wanted), begin
