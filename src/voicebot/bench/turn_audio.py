"""What was to be heard of a turn: the caller left, the bot right, sample by sample."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples
    from voicebot.audio.sinks import Playback

__all__ = ["TurnAudio", "side_by_side"]

_AFTER_S = 0.3


def side_by_side(
    clip: Samples,
    starts_s: float,
    until_s: float,
    playbacks: Sequence[Playback],
    sample_rate_hz: int,
) -> NDArray[np.float32]:
    """Caller and bot from the clip's first sample on.

    Args:
        clip: the caller's, 16 kHz.
        starts_s: the instant of its first sample.
        until_s: when the next turn's clip begins, or the conversation ended; infinite if neither
            is known. What the bot says beyond belongs to somebody else.
        playbacks: what the bot played.
        sample_rate_hz: their rate.

    Returns:
        Shape (n, 2), float32 at 16 kHz: to the end of the clip and of what the bot said.
    """
    heard = [
        (item.start_s - starts_s, item.samples)
        for item in playbacks
        if starts_s <= item.start_s + len(item.samples) / sample_rate_hz and item.start_s < until_s
    ]
    length_s = len(clip) / INPUT_SAMPLE_RATE_HZ
    for at_s, samples in heard:
        end_s = min(at_s + len(samples) / sample_rate_hz, until_s - starts_s)
        length_s = max(length_s, end_s + _AFTER_S)
    sound = np.zeros((round(length_s * INPUT_SAMPLE_RATE_HZ), 2), np.float32)
    sound[: len(clip), 0] = clip
    for at_s, samples in heard:
        made = soxr.resample(samples, sample_rate_hz, INPUT_SAMPLE_RATE_HZ)
        first = round(at_s * INPUT_SAMPLE_RATE_HZ)
        begin, end = max(first, 0), min(first + len(made), len(sound))
        if begin < end:
            sound[begin:end, 1] += made[begin - first : end - first]
    return sound


class TurnAudio:
    """Writes the sound of turns into a folder beside the run's record.

    Args:
        run_dir: the run's folder.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._written = 0

    def write(self, name: str, sound: NDArray[np.float32]) -> str:
        """Store the sound of a turn; gives its path, relative to the run's folder.

        Raises:
            OutputError: the file cannot be written.
        """
        self._written += 1
        stem = re.sub(r"[^A-Za-z0-9]+", "-", name.rsplit(".", 1)[0]).strip("-")[:60]
        relative = f"audio/{self._written:03d}-{stem}.flac"
        path = self._run_dir / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, INPUT_SAMPLE_RATE_HZ, subtype="PCM_16")
        except (OSError, soundfile.LibsndfileError) as error:
            raise OutputError(
                f"cannot write {path}: {error}", "free some space, or leave --record out"
            ) from error
        return relative
