"""Recording one sentence at a time: from when somebody begins to speak until they are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.blocks import Framer
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Vad

__all__ = ["record_sentence"]

_SPEECH = 0.5
_DONE_AFTER_S = 1.5
_KEPT_BEFORE_S = 0.4
_PATIENCE_S = 20.0
_LONGEST_S = 60.0


async def record_sentence(blocks: AsyncIterator[AudioBlock], vad: Vad) -> Samples | None:
    """Listen until somebody has spoken and then been silent for 1.5 s.

    Args:
        blocks: the microphone's, 16 kHz.
        vad: hears speech begin and end.

    Returns:
        From 0.4 s before the speech on, float32 at 16 kHz; None if nobody speaks for 20 s.

    Raises:
        AudioError: the microphone ends.
    """
    framer = Framer(vad.frame_samples)
    vad.reset()
    heard: list[Samples] = []
    heard_s = silent_s = 0.0
    speech_from: float | None = None
    async for block in blocks:
        heard.append(block.samples)
        heard_s += len(block.samples) / INPUT_SAMPLE_RATE_HZ
        for frame in framer.push(block):
            if vad.probability(frame.samples) >= _SPEECH:
                silent_s = 0.0
                if speech_from is None:
                    speech_from = heard_s
            else:
                silent_s += len(frame.samples) / INPUT_SAMPLE_RATE_HZ
        if speech_from is None and heard_s > _PATIENCE_S:
            return None
        if speech_from is not None and (silent_s > _DONE_AFTER_S or heard_s > _LONGEST_S):
            begin = max(0, round((speech_from - _KEPT_BEFORE_S) * INPUT_SAMPLE_RATE_HZ))
            return np.concatenate(heard)[begin:]
    raise AudioError("the microphone ended before anybody had spoken", "connect it, and try again")
