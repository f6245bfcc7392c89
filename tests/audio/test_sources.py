"""The virtual microphone: real-time pace, exact schedule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio.sources import VirtualMicrophone

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.blocks import AudioBlock

RATE_HZ = 16_000


async def listen(microphone: VirtualMicrophone, seconds: float) -> list[tuple[float, AudioBlock]]:
    loop = asyncio.get_running_loop()
    got = []
    async for block in microphone.blocks():
        got.append((loop.time(), block))
        if block.end_s >= seconds:
            microphone.close()
    return got


def test_no_block_is_delivered_before_its_last_sample(virtual_time: Callable[[Any], Any]) -> None:
    got = virtual_time(listen(VirtualMicrophone(block_ms=10), 1.0))
    assert len(got) == 100
    for arrived_s, block in got:
        assert arrived_s == pytest.approx(block.end_s)
    assert [block.start_s for _, block in got] == pytest.approx([i * 0.01 for i in range(100)])


def test_a_recording_stands_where_it_was_scheduled_to_the_sample(
    virtual_time: Callable[[Any], Any],
) -> None:
    recording = np.linspace(0.1, 0.9, 4000, dtype=np.float32)

    async def main() -> tuple[float, list[tuple[float, AudioBlock]]]:
        microphone = VirtualMicrophone(block_ms=10)
        starts_s = microphone.play(recording, not_before_s=0.1234)
        return starts_s, await listen(microphone, 1.0)

    starts_s, got = virtual_time(main())
    heard = np.concatenate([block.samples for _, block in got])
    first = round(starts_s * RATE_HZ)
    assert starts_s >= 0.1234
    assert heard[first : first + 4000] == pytest.approx(recording, abs=1e-3)
    rest = np.concatenate((heard[:first], heard[first + 4000 :]))
    assert 0 < np.abs(rest).max() < 1e-3, "a room is never digitally silent"


def test_recordings_never_overlap(virtual_time: Callable[[Any], Any]) -> None:
    async def main() -> tuple[float, float]:
        microphone = VirtualMicrophone(block_ms=10)
        clip = np.ones(RATE_HZ, dtype=np.float32)
        return microphone.play(clip), microphone.play(clip, not_before_s=0.2)

    first_s, second_s = virtual_time(main())
    assert second_s == pytest.approx(first_s + 1.0)


def test_a_late_reader_catches_up_and_misses_nothing(virtual_time: Callable[[Any], Any]) -> None:
    async def main() -> list[float]:
        microphone = VirtualMicrophone(block_ms=10)
        starts = []
        async for block in microphone.blocks():
            starts.append(block.start_s)
            if len(starts) == 5:
                await asyncio.sleep(0.2)
            if len(starts) == 60:
                microphone.close()
        return starts

    starts = virtual_time(main())
    assert starts == pytest.approx([i * 0.01 for i in range(60)])
