"""The whole recording on disk, block by block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import soundfile

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RecordingFile", "recording_file"]


class RecordingFile:
    """An open 16-bit WAV file; made by ``recording_file``.

    Attributes:
        failure: why it could not be written; the rest is dropped then. None if all is well.
    """

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self._path = path
        self._file = file
        self.failure: OutputError | None = None

    def write(self, frames: NDArray[np.float32]) -> None:
        """Append a block, shape (n, channels). Never raises: it runs on the recorder's thread."""
        if self.failure is not None:
            return
        try:
            self._file.write(frames)
        except (soundfile.SoundFileError, OSError) as error:
            self.failure = _refusal(self._path, error)


@contextmanager
def recording_file(path: Path, sample_rate_hz: int, channels: int) -> Iterator[RecordingFile]:
    """A recording that is written until the context is left.

    Raises:
        OutputError: it cannot be opened.
    """
    try:
        file = soundfile.SoundFile(
            path, "w", samplerate=sample_rate_hz, channels=channels, subtype="PCM_16", format="WAV"
        )
    except (soundfile.SoundFileError, OSError) as error:
        raise _refusal(path, error) from error
    with file:
        yield RecordingFile(path, file)


def _refusal(path: Path, error: Exception) -> OutputError:
    return OutputError(
        f"the recording {path} cannot be written ({error})", "give another folder with --out"
    )
