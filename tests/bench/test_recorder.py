from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.audio.blocks import AudioBlock
from voicebot.bench.recorder import record_sentence
from voicebot.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RATE = 16_000


class LoudIsSpeech:
    frame_samples = 512

    def probability(self, frame: np.ndarray) -> float:
        return float(np.abs(frame).mean() > 0.05)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


async def blocks(samples: np.ndarray) -> AsyncIterator[AudioBlock]:
    for first in range(0, len(samples), 160):
        yield AudioBlock(samples[first : first + 160], first / RATE)


def recorded(samples: np.ndarray) -> np.ndarray | None:
    return asyncio.run(record_sentence(blocks(samples), LoudIsSpeech()))


def test_it_ends_when_the_speaker_has_been_silent_for_a_while() -> None:
    samples = np.zeros(20 * RATE, np.float32)
    samples[2 * RATE : 3 * RATE] = 0.2
    samples[4 * RATE : 5 * RATE] = 0.2  # a pause of a second does not end it
    heard = recorded(samples)
    assert len(heard) / RATE == pytest.approx(0.4 + 3.0 + 1.5, abs=0.1)
    assert np.abs(heard[: round(0.3 * RATE)]).max() == 0.0
    assert heard[round(0.5 * RATE)] == np.float32(0.2)


def test_nobody_speaks_or_the_microphone_ends() -> None:
    assert recorded(np.zeros(30 * RATE, np.float32)) is None
    with pytest.raises(AudioError, match="ended before"):
        recorded(np.zeros(RATE, np.float32))
