"""Where in a turn's audio there is speech, by voice activity.

The recogniser asks: has anybody spoken at all, has anything been said since the last decoding, has
the speaker just fallen silent, and where may a long turn be cut?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Vad

__all__ = ["SpeechTrack"]

_SPEECH = 0.5
_SILENCE = 0.35
_SURELY_SILENT = 0.15


class SpeechTrack:
    """The speech probability of every frame of a turn.

    Args:
        vad: voice activity of its own: it carries state from frame to frame.
    """

    def __init__(self, vad: Vad) -> None:
        self._vad = vad
        self._rest = np.zeros(0, np.float32)
        self._probabilities: list[float] = []
        self._is_speaking = False

    def start(self) -> None:
        """Begin a new turn."""
        self._vad.reset()
        self._rest = np.zeros(0, np.float32)
        self._probabilities.clear()
        self._is_speaking = False

    def push(self, samples: Samples) -> bool:
        """Take the next audio.

        Returns:
            Whether the speaker fell silent in it, and is silent at its end.
        """
        frame = self._vad.frame_samples
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % frame
        was_speaking = self._is_speaking
        for start in range(0, whole, frame):
            probability = self._vad.probability(waiting[start : start + frame])
            self._probabilities.append(probability)
            if probability >= _SPEECH:
                was_speaking = self._is_speaking = True
            elif probability < _SILENCE:
                self._is_speaking = False
        self._rest = waiting[whole:]
        return was_speaking and not self._is_speaking

    def speech_samples(self, start: int, end: int) -> int:
        """How many samples from ``start`` to ``end`` are in frames of speech."""
        frame = self._vad.frame_samples
        part = self._probabilities[start // frame : -(-end // frame)]
        return sum(frame for probability in part if probability >= _SPEECH)

    def may_hold_speech(self, start: int) -> bool:
        """Whether anything that may be speech begins at ``start`` or later.

        A frame that is only partly there yet counts as the frame before it.
        """
        part = self._probabilities[start // self._vad.frame_samples :]
        return any(one >= _SURELY_SILENT for one in part) or (
            self._is_speaking and len(self._rest) > 0
        )

    def best_cut(self, earliest: int, latest: int) -> int:
        """The sample between ``earliest`` and ``latest`` at which a cut does the least harm.

        The middle of the longest pause; without any pause, the frame least likely to be speech.
        """
        frame = self._vad.frame_samples
        first, last = earliest // frame, max(latest // frame, earliest // frame + 1)
        part = self._probabilities[first:last]
        if not part:
            return latest
        best_length, best_end = 0, 0
        length = 0
        for place, probability in enumerate(part):
            length = length + 1 if probability < _SILENCE else 0
            if length >= best_length and length:  # of equal pauses the later: less is left to do
                best_length, best_end = length, place + 1
        if best_length:
            middle = first + best_end - best_length / 2
            return min(max(round(middle * frame), earliest), latest)
        return min(max((first + int(np.argmin(part))) * frame + frame // 2, earliest), latest)

    def close(self) -> None:
        """Free voice activity."""
        self._vad.close()
