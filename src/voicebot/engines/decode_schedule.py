"""When a growing utterance is decoded again (pure).

All is reckoned in the time of the audio, which runs as fast as the speaker speaks, and never in
calls: after a decoding the blocks that came meanwhile arrive all at once, and none of them is a
reason to decode. Since a decoding that took d seconds is followed by at least d / share seconds of
audio, decoding takes no more than that share of the time, and the recogniser never falls behind.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DecodeSchedule"]

_PAUSE_GAP_S = 0.2


@dataclass(slots=True)
class DecodeSchedule:
    """Says when a decoding is due.

    Args:
        every_s: audio between two decodings, if the machine can bear it.
        share: the largest share of the time that is spent on decoding while the user speaks;
            above 0, at most 1.
    """

    every_s: float
    share: float
    _last_at_s: float = 0.0
    _last_took_s: float = 0.0

    def start(self) -> None:
        """A new utterance begins; what the last decoding took is still worth knowing."""
        self._last_at_s = 0.0

    def is_due(self, audio_s: float, *, pause_begins: bool) -> bool:
        """Whether to decode now.

        Args:
            audio_s: audio of the utterance so far.
            pause_begins: the speaker has just fallen silent. If they stay so, this decoding is
                the final one, and it is begun before anybody asks for it.
        """
        since_s = audio_s - self._last_at_s
        if pause_begins:
            return since_s >= max(_PAUSE_GAP_S, self._last_took_s)
        return since_s >= max(self.every_s, self._last_took_s / self.share)

    def decoded(self, audio_s: float, took_s: float) -> None:
        """A decoding of the first ``audio_s`` of the utterance took ``took_s``."""
        self._last_at_s = audio_s
        self._last_took_s = took_s
