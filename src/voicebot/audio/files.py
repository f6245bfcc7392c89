"""Audio files in and out: any common format in, 16 kHz mono; 16-bit WAV out."""

from __future__ import annotations

import io
import os
import stat
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from voicebot.audio.loudness import AUDIBLE_LEVEL_DBFS, first_audible
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ, Samples
from voicebot.errors import AudioFileError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LONGEST_READ_S", "AudioFile", "audio_duration_s", "read_audio", "write_wav"]

LONGEST_READ_S = 600.0
"""A longer file is refused: nobody speaks a turn of ten minutes, and memory is finite."""

_BLOCK_FRAMES = 1 << 16
_RATES_HZ = range(1_000, 768_001)
_CLIPPED_LEVEL = 0.99
_CLIPPED_RUN = 3
_DC_OFFSET = 0.005
"""-46 dBFS: with any more, silence itself would count as audible."""
_UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)
"""What programs that write WAV into a pipe put where the length of the data belongs."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioFile:
    """An audio file as the listening stages take it.

    Attributes:
        samples: shape (n,), n > 0, float32 at 16 kHz, finite, within ±1.
        source_sample_rate_hz: the rate in the file.
        channels: how many channels the file has; ``samples`` is their mean.
        warnings: what is odd about the file and what was done about it, a line each.
    """

    samples: Samples
    source_sample_rate_hz: int
    channels: int
    warnings: tuple[str, ...] = ()


def read_audio(path: Path, longest_s: float = LONGEST_READ_S) -> AudioFile:
    """Read a WAV, FLAC, Ogg or other file that libsndfile knows.

    Channels are averaged, the rate is converted to 16 kHz, a DC offset is taken out. NaN and
    infinite samples become silence, samples beyond full scale are limited to it; both leave a
    warning, and so do clipping, an offset and a file in which nothing can be heard.

    Args:
        path: the file.
        longest_s: a longer file is refused.

    Raises:
        AudioFileError: missing, not a file, not readable, empty, truncated, too long, not audio.
    """
    with _open(path) as file:
        _check_length(path, file, longest_s)
        oddities = _Oddities()
        resampler = soxr.ResampleStream(file.samplerate, INPUT_SAMPLE_RATE_HZ, 1, dtype="float32")
        parts: list[Samples] = []
        frames_read = 0
        try:
            while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                frames_read += len(block)
                parts.append(resampler.resample_chunk(oddities.mono(block)))
        except soundfile.SoundFileError as error:
            raise _truncated(path) from error
        if frames_read < file.frames:
            raise _truncated(path)
        parts.append(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
        samples = np.concatenate(parts)
        if not samples.size:
            raise _no_samples(path)
        offset = float(np.mean(samples, dtype=np.float64))
        if abs(offset) > _DC_OFFSET:
            samples -= np.float32(offset)
        samples = np.clip(samples, -1.0, 1.0)
        return AudioFile(
            samples=samples,
            source_sample_rate_hz=file.samplerate,
            channels=file.channels,
            warnings=oddities.warnings(offset, samples),
        )


def audio_duration_s(path: Path) -> float:
    """How long a file is, in seconds, from its header alone.

    Raises:
        AudioFileError: missing, not a file, not readable, empty, a truncated WAV, not audio.
    """
    with _open(path) as file:
        return float(file.frames) / float(file.samplerate)


def write_wav(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write a mono 16-bit WAV file; a file of that name is replaced at once or left as it was.

    Args:
        path: where to; its folder must exist.
        samples: shape (n,), float; limited to ±1, NaN becomes 0.
        sample_rate_hz: their rate.

    Raises:
        OutputError: the file cannot be written.
        ValueError: ``samples`` has more than one dimension.
    """
    if samples.ndim != 1:
        raise ValueError(f"samples have shape {samples.shape}, not (n,)")
    finite = np.nan_to_num(samples.astype(np.float64), posinf=1.0, neginf=-1.0)
    pcm = np.clip(np.round(finite * 32_768.0), -32_768, 32_767).astype(np.int16)
    # Encoded in memory: what goes wrong while libsndfile writes through a file object is lost.
    wav = io.BytesIO()
    soundfile.write(wav, pcm, sample_rate_hz, format="WAV", subtype="PCM_16")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(wav.getbuffer())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the recording {path} cannot be written ({error.strerror or error})",
            "choose a folder that exists, can be written and has space",
        ) from error


@dataclass(slots=True)
class _Oddities:
    """What is wrong with a file's samples, gathered block by block."""

    not_finite: int = 0
    beyond_full_scale: int = 0
    clipped: bool = False
    _tail: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 1), dtype=np.float32), init=False
    )

    def mono(self, block: NDArray[np.float32]) -> Samples:
        """The mean of the channels of ``block`` (shape (frames, channels)), every sample sound."""
        bad = ~np.isfinite(block)
        if bad.any():
            self.not_finite += int(bad.sum())
            block = np.where(bad, np.float32(0.0), block)
        beyond = np.abs(block) > 1.0
        if beyond.any():
            self.beyond_full_scale += int(beyond.sum())
            block = np.clip(block, -1.0, 1.0)
        if not self.clipped:
            self.clipped = self._has_flat_top(block)
        mean: Samples = np.mean(block, axis=1, dtype=np.float32)
        return mean

    def _has_flat_top(self, block: NDArray[np.float32]) -> bool:
        # A peak of full scale is sound; the same extreme value three times in a row was cut off.
        joined = np.concatenate((self._tail, block)) if self._tail.size else block
        self._tail = joined[-(_CLIPPED_RUN - 1) :]
        flat = np.abs(joined[_CLIPPED_RUN - 1 :]) >= _CLIPPED_LEVEL
        for back in range(1, _CLIPPED_RUN):
            end = joined.shape[0] - back
            flat &= joined[_CLIPPED_RUN - 1 :] == joined[_CLIPPED_RUN - 1 - back : end]
        return bool(flat.any())

    def warnings(self, offset: float, samples: Samples) -> tuple[str, ...]:
        found = []
        if self.not_finite:
            found.append(f"{self.not_finite} samples are not numbers: they were made silent")
        if self.beyond_full_scale:
            found.append(
                f"{self.beyond_full_scale} samples are beyond full scale: they were limited to it"
            )
        elif self.clipped:
            found.append("the recording is clipped: record it at a lower level")
        if abs(offset) > _DC_OFFSET:
            found.append(f"the recording has a DC offset of {offset:+.3f}: it was taken out")
        if first_audible(samples, INPUT_SAMPLE_RATE_HZ) is None:
            found.append(
                f"nothing can be heard: it never rises above {AUDIBLE_LEVEL_DBFS:.0f} dBFS"
            )
        return tuple(found)


def _open(path: Path) -> soundfile.SoundFile:
    try:
        # Asked before it is opened: to open a pipe is to wait for its writer.
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioFileError(f"{path} is a folder", "give an audio file in it")
        if not stat.S_ISREG(status.st_mode):
            raise AudioFileError(f"{path} is not a regular file", "give an audio file")
        if not status.st_size:
            raise AudioFileError(f"the audio file {path} is empty", "record it again")
        with path.open("rb") as raw:
            if _is_cut_off_wav(raw, status.st_size):
                raise _truncated(path)
    except FileNotFoundError as error:
        raise AudioFileError(f"there is no audio file {path}", "check the path") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AudioFileError(
            f"the audio file {path} cannot be read ({reason})", "check the path and its permissions"
        ) from error
    try:
        file = soundfile.SoundFile(path)
    # TypeError: the name ends in .raw, which says nothing of the rate.
    except (soundfile.SoundFileError, TypeError) as error:
        raise AudioFileError(
            f"{path} is not audio that can be read", "convert it to WAV, FLAC or Ogg"
        ) from error
    if not file.frames:
        file.close()
        raise _no_samples(path)
    return file


def _is_cut_off_wav(raw: BinaryIO, size: int) -> bool:
    """Whether a WAV file ends before its data do, of which libsndfile says nothing."""
    header = raw.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return False
    while len(chunk := raw.read(8)) == 8:  # noqa: PLR2004 - a chunk's name and length, 4 bytes each
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            return length not in _UNKNOWN_RIFF_SIZES and raw.tell() + length > size
        raw.seek(length + length % 2, os.SEEK_CUR)
    return False


def _check_length(path: Path, file: soundfile.SoundFile, longest_s: float) -> None:
    if file.samplerate not in _RATES_HZ:
        raise AudioFileError(
            f"{path} says that it has {file.samplerate} samples a second",
            "convert it to a rate between 8 and 192 kHz",
        )
    duration_s = file.frames / file.samplerate
    if duration_s > longest_s:
        raise AudioFileError(
            f"{path} lasts {duration_s:.0f} s, more than the limit of {longest_s:.0f} s",
            "cut it into shorter files",
        )


def _truncated(path: Path) -> AudioFileError:
    return AudioFileError(
        f"the audio file {path} is truncated or damaged", "copy or record it again"
    )


def _no_samples(path: Path) -> AudioFileError:
    return AudioFileError(f"the audio file {path} holds no samples", "record it again")
