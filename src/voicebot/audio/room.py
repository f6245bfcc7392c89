"""A simulated room: what a microphone hears of a loudspeaker in it.

Pure arithmetic. The loudspeaker distorts what it plays loudly; the sound reaches the microphone
on the direct way and from the walls (noise that decays by 60 dB in ``rt60_s``, J. Moorer, "About
this reverberation business", 1979); the room is never silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from voicebot.audio.played import FarEnd
    from voicebot.audio.samples import Samples
    from voicebot.audio.sources import AudioSource

__all__ = ["EchoPath", "Room", "RoomSource", "room_impulse_response", "soft_clip"]

_DIRECT_SHARE = 0.7
_DECAY = 6.9078  # the natural logarithm of 60 dB in amplitude


@dataclass(frozen=True, slots=True)
class Room:
    """A room with a loudspeaker and a microphone.

    Attributes:
        echo_gain_db: level of the echo in the microphone against what is played, both in dBFS.
        direct_delay_ms: of the direct way; 1 ms is 34 cm.
        rt60_s: until the reverberation has fallen by 60 dB; 0.3 is a living room, 0.7 a hall.
        clipping_level: the amplitude at which the loudspeaker begins to distort; 1 is full scale.
        noise_dbfs: RMS level of the room's own noise in the microphone.
        seed: of the reverberation and the noise.
    """

    echo_gain_db: float = 0.0
    direct_delay_ms: float = 1.5
    rt60_s: float = 0.35
    clipping_level: float = 0.7
    noise_dbfs: float = -60.0
    seed: int = 0


def room_impulse_response(room: Room) -> Samples:
    """What the microphone hears of a click.

    Returns:
        Shape (n,), float32, 16 kHz; its energy is the room's echo gain.
    """
    delay = round(room.direct_delay_ms * INPUT_SAMPLE_RATE_HZ / 1000.0)
    length = max(1, round(room.rt60_s * INPUT_SAMPLE_RATE_HZ))
    noise = np.random.default_rng([room.seed, 1]).standard_normal(length)
    time = np.arange(length) / length
    tail = noise * np.exp(-_DECAY * time) * np.minimum(1.0, time * length / 40.0)
    response = np.zeros(delay + length)
    response[delay:] = tail * np.sqrt((1.0 - _DIRECT_SHARE) / max(np.sum(tail**2), 1e-12))
    response[delay] += np.sqrt(_DIRECT_SHARE)
    response *= 10.0 ** (room.echo_gain_db / 20.0) / np.sqrt(np.sum(response**2))
    return response.astype(np.float32)


def soft_clip(samples: Samples, level: float) -> Samples:
    """A loudspeaker that reaches ``level`` at most: straight for quiet sounds, bent for loud ones.

    Args:
        samples: shape (n,).
        level: a positive amplitude.
    """
    clipped: Samples = (level * np.tanh(samples / np.float32(level))).astype(np.float32)
    return clipped


class EchoPath:
    """From the loudspeaker's samples to the echo in the microphone, chunk by chunk.

    Args:
        room: where it is.
        chunk_samples: the length of every chunk.
    """

    def __init__(self, room: Room, chunk_samples: int) -> None:
        self._room = room
        self._chunk = chunk_samples
        response = room_impulse_response(room)
        self._size = 1 << (chunk_samples + len(response) - 1).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        self._ringing: NDArray[np.float64] = np.zeros(self._size)

    def hear(self, played: Samples) -> Samples:
        """The echo while ``played`` leaves the loudspeaker.

        Args:
            played: shape (chunk_samples,), 16 kHz.

        Returns:
            Of the same shape.
        """
        bent = soft_clip(played, self._room.clipping_level)
        if bent.any():
            self._ringing += np.fft.irfft(
                np.fft.rfft(bent, self._size) * self._spectrum, self._size
            )
        heard = self._ringing[: self._chunk].astype(np.float32)
        self._ringing[: -self._chunk] = self._ringing[self._chunk :]
        self._ringing[-self._chunk :] = 0.0
        return heard


class RoomSource:
    """A microphone in a room with a loudspeaker. An ``AudioSource``.

    Args:
        voices: what else is heard, such as a ``VirtualMicrophone`` with a caller; its blocks must
            have one length.
        far_end: the loudspeaker.
        room: where both stand.
    """

    def __init__(self, voices: AudioSource, far_end: FarEnd, room: Room) -> None:
        self._voices = voices
        self._far_end = far_end
        self._room = room
        self._noise = np.random.default_rng([room.seed, 2])
        self._path: EchoPath | None = None

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks of ``voices`` with echo and noise added."""
        level = 10.0 ** (self._room.noise_dbfs / 20.0)
        async for block in self._voices.blocks():
            count = len(block.samples)
            self._path = self._path or EchoPath(self._room, count)
            echo = self._path.hear(self._far_end.leaving(block.start_s, count))
            noise = self._noise.standard_normal(count).astype(np.float32) * np.float32(level)
            yield AudioBlock(np.clip(block.samples + echo + noise, -1.0, 1.0), block.start_s)
