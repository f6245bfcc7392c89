"""Raw PCM as it comes from elsewhere, piece by piece, to samples as they are inside voicebot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from voicebot.errors import AudioError

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["PcmReader", "Resampler", "pcm16"]

_LOWEST_RATE_HZ = 4_000
_HIGHEST_RATE_HZ = 192_000
_MOST_CHANNELS = 8
_WIDTHS = {1: "u1", 2: "<i2", 4: "<i4"}
_FULL_SCALE_16 = 32_767


class Resampler:
    """Brings a stream of samples to another rate; costs nothing where the rates are the same.

    Args:
        from_rate_hz: of what goes in.
        to_rate_hz: of what comes out.
    """

    def __init__(self, from_rate_hz: int, to_rate_hz: int) -> None:
        self._stream = (
            None
            if from_rate_hz == to_rate_hz
            else soxr.ResampleStream(from_rate_hz, to_rate_hz, 1, dtype="float32")
        )

    def feed(self, samples: Samples) -> Samples:
        """What of the stream so far is ready, shape (n,)."""
        return self._put(samples, is_last=False)

    def flush(self) -> Samples:
        """The rest, at the end of the stream."""
        return self._put(np.zeros(0, np.float32), is_last=True)

    def _put(self, samples: Samples, *, is_last: bool) -> Samples:
        if self._stream is None:
            return samples
        out: Samples = self._stream.resample_chunk(samples, last=is_last).astype(np.float32)
        return out


class PcmReader:
    """Turns the bytes of a PCM stream into mono samples of a wanted rate.

    Args:
        rate_hz: of the stream, 4000 to 192000.
        width_bytes: of a sample: 1 (unsigned), 2 or 4 (signed, little-endian).
        channels: 1 to 8; their mean is taken.
        to_rate_hz: of the samples wanted.

    Raises:
        AudioError: the format is another.
    """

    def __init__(
        self, rate_hz: object, width_bytes: object, channels: object, *, to_rate_hz: int
    ) -> None:
        if not (
            isinstance(rate_hz, int)
            and isinstance(width_bytes, int)
            and isinstance(channels, int)
            and _LOWEST_RATE_HZ <= rate_hz <= _HIGHEST_RATE_HZ
            and width_bytes in _WIDTHS
            and 1 <= channels <= _MOST_CHANNELS
        ):
            raise AudioError(
                f"audio of {rate_hz!r:.20} Hz, {width_bytes!r:.20} bytes a sample and "
                f"{channels!r:.20} channels cannot be used",
                "send 16000 Hz, 2 bytes, 1 channel",
            )
        self.rate_hz = rate_hz
        self._width_bytes = width_bytes
        self._channels = channels
        self._resampler = Resampler(rate_hz, to_rate_hz)
        self._rest = b""

    def feed(self, data: bytes) -> Samples:
        """The samples that ``data`` completes, shape (n,), float32."""
        data = self._rest + data
        whole = len(data) - len(data) % (self._width_bytes * self._channels)
        self._rest = data[whole:]
        values = np.frombuffer(data[:whole], dtype=_WIDTHS[self._width_bytes])
        scale = float(2 ** (8 * self._width_bytes - 1))
        samples = values.astype(np.float32) / np.float32(scale)
        if self._width_bytes == 1:
            samples -= np.float32(1.0)
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1, dtype=np.float32)
        return self._resampler.feed(samples)

    def flush(self) -> Samples:
        """What the change of rate still held back, at the end of the stream."""
        return self._resampler.flush()


def pcm16(samples: Samples) -> bytes:
    """Signed 16-bit little-endian PCM; NaN and infinities count as silence."""
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return (np.clip(samples, -1.0, 1.0) * _FULL_SCALE_16).astype("<i2").tobytes()
