"""A stereo WAV file that grows while the conversation goes on."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples

__all__ = ["StereoFile"]

_FULL_SCALE = 32_767
_FRAME_BYTES = 4


class StereoFile:
    """16 kHz, 16 bits, the user on the left, the bot on the right.

    Its header is right after every write, so that a crash loses no more than the last one.

    Args:
        path: where to.

    Raises:
        OSError: here and in every method, if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._wav = wave.open(self._file, "wb")  # noqa: SIM115  # closed in ``close``
        self._wav.setnchannels(2)
        self._wav.setsampwidth(2)
        self._wav.setframerate(INPUT_SAMPLE_RATE_HZ)
        self._wav.writeframes(b"")
        self._header_bytes = self._file.tell()

    def write(self, user: Samples, bot: Samples) -> None:
        """Append samples of the same number on both sides."""
        both = np.stack((user, bot), axis=1)
        pcm = np.round(np.clip(both, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
        self._wav.writeframes(pcm.tobytes())
        self._file.flush()

    def copy_user(self, first: int, last: int, path: Path) -> None:
        """Write the user's samples from ``first`` up to ``last`` to a mono WAV file.

        Raises:
            OutputError: that file cannot be written.
        """
        with self._path.open("rb") as file:
            file.seek(self._header_bytes + first * _FRAME_BYTES)
            pcm = np.frombuffer(file.read((last - first) * _FRAME_BYTES), dtype="<i2")
        write_wav(path, (pcm[::2] / (_FULL_SCALE + 1.0)).astype(np.float32), INPUT_SAMPLE_RATE_HZ)

    def close(self) -> None:
        """The last write."""
        self._wav.close()
        self._file.close()
