"""The audio of a turn that is still decoded, and how much of it an encoder is shown (pure)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["ENCODER_LIMIT_S", "HeardWindow", "padded_samples"]

ENCODER_LIMIT_S = 30.0
"""What Whisper's encoder has positions for."""

_STEP_S = 0.5


def padded_samples(samples: int, padding_s: float | None) -> int:
    """How long the audio is to be made, with silence behind it, before it is encoded.

    Rounded up to half a second, so that arithmetic meets few different shapes.

    Args:
        samples: length of the audio.
        padding_s: silence that shall follow it at least; None pads to the whole 30 s.
    """
    limit = round(ENCODER_LIMIT_S * INPUT_SAMPLE_RATE_HZ)
    if padding_s is None:
        return limit
    step = round(_STEP_S * INPUT_SAMPLE_RATE_HZ)
    wanted = samples + padding_s * INPUT_SAMPLE_RATE_HZ
    return min(limit, max(step, math.ceil(wanted / step) * step))


class HeardWindow:
    """The audio from where it is still decoded; positions count from the turn's first sample."""

    def __init__(self) -> None:
        self._parts: list[Samples] = []
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Where the window begins."""
        return self._start

    @property
    def end(self) -> int:
        """Where the audio ends."""
        return self._end

    def clear(self) -> None:
        """Begin a new turn."""
        self._parts.clear()
        self._start = self._end = 0

    def push(self, samples: Samples) -> None:
        """Take the next audio; NaN and infinities become silence, the rest is cut to [-1, 1]."""
        kept = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        self._parts.append(np.clip(kept, -1.0, 1.0).astype(np.float32))
        self._end += len(samples)

    def samples(self, end: int | None = None) -> Samples:
        """The audio from the window's start to ``end``, else to the end."""
        whole = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        self._parts = [whole]
        return whole if end is None else whole[: end - self._start]

    def cut(self, start: int) -> None:
        """Let the window begin at ``start``."""
        self._parts = [self.samples()[start - self._start :]]
        self._start = start
