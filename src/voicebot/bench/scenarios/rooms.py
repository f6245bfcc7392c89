"""The sound of a room, by an artificial impulse response. Pure.

White noise under an exponential decay is the usual stand-in for the late reverberation of a room
(Moorer, "About This Reverberation Business", 1979); the direct sound stands before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["in_room", "room_response"]

_GAP_S = 0.004
"""Between the direct sound and the first reflections, of a few steps from the microphone."""


def room_response(rt60_s: float, direct_to_reverberant_db: float, seed: int) -> Samples:
    """The response, float32 at 16 kHz; its first sample is the direct sound, of gain 1.

    Args:
        rt60_s: how long the reverberation takes to decay by 60 dB.
        direct_to_reverberant_db: the energy of the direct sound over all that follows.
        seed: which room.
    """
    count = max(2, round(rt60_s * INPUT_SAMPLE_RATE_HZ))
    gap = min(count - 1, max(1, round(_GAP_S * INPUT_SAMPLE_RATE_HZ)))
    time_s = np.arange(count) / INPUT_SAMPLE_RATE_HZ
    tail = np.random.default_rng(seed).standard_normal(count) * 10.0 ** (-3.0 * time_s / rt60_s)
    tail[:gap] = 0.0
    energy = float(np.sum(np.square(tail)))
    tail *= np.sqrt(10.0 ** (-direct_to_reverberant_db / 10.0) / energy)
    tail[0] = 1.0
    return tail.astype(np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """What is heard of ``samples`` in the room: as long as they are, the tail behind it cut off."""
    size = 1 << (len(samples) + len(response)).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
