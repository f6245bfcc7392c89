"""The simulated room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio.room import EchoPath, Room, RoomSource, room_impulse_response, soft_clip
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 6.0])
def test_the_response_has_the_gain_and_the_delay(gain_db: float) -> None:
    response = room_impulse_response(Room(echo_gain_db=gain_db, direct_delay_ms=5.0))
    assert 10 * np.log10(np.sum(response.astype(float) ** 2)) == pytest.approx(gain_db, abs=0.01)
    assert np.flatnonzero(response)[0] == 80
    assert np.argmax(np.abs(response)) == 80


@pytest.mark.parametrize("rt60_s", [0.2, 0.6])
def test_reverberation_falls_by_60_db_in_its_time(rt60_s: float) -> None:
    response = room_impulse_response(Room(rt60_s=rt60_s, direct_delay_ms=0.0)).astype(float)
    early, late = (
        np.mean(response[round(at_s * 16_000) :][:400] ** 2) for at_s in (0.01, 0.01 + rt60_s / 2)
    )
    assert 10 * np.log10(early / late) == pytest.approx(30.0, abs=3.0)


def test_a_loudspeaker_is_straight_when_quiet_and_bent_when_loud() -> None:
    quiet = np.linspace(-0.05, 0.05, 11, dtype=np.float32)
    assert soft_clip(quiet, 0.7) == pytest.approx(quiet, abs=2e-4)
    loud = soft_clip(np.array([1.0, 10.0], dtype=np.float32), 0.7)
    assert loud[0] < 0.65
    assert loud[1] == pytest.approx(0.7)


def test_chunk_by_chunk_it_is_one_convolution() -> None:
    room = Room(echo_gain_db=-6.0, rt60_s=0.1)
    played = np.random.default_rng(0).normal(0, 0.2, 1600).astype(np.float32)
    path = EchoPath(room, 160)
    heard = np.concatenate([path.hear(played[at : at + 160]) for at in range(0, 1600, 160)])
    whole = np.convolve(soft_clip(played, room.clipping_level), room_impulse_response(room))
    assert heard == pytest.approx(whole[:1600], abs=1e-5)


def test_the_microphone_hears_the_loudspeaker_when_it_sounds(virtual_time: Run) -> None:
    async def main() -> tuple[float, float, float]:
        microphone = VirtualMicrophone(block_ms=10)
        speaker = VirtualSpeaker(22_050, block_ms=10, output_latency_ms=20)
        room = Room(direct_delay_ms=2.0, rt60_s=0.1, noise_dbfs=-90.0)
        starts_s = ends_s = onset_s = 0.0
        level = []
        async for block in RoomSource(microphone, speaker, room).blocks():
            if block.start_s >= 0.5 and not ends_s:
                starts_s = speaker.write(np.full(22_050, 0.3, dtype=np.float32))
                ends_s = speaker.ends_s
            loud = np.flatnonzero(np.abs(block.samples) > 0.05)
            if len(loud) and not onset_s:
                onset_s = block.start_s + loud[0] / 16_000
            level.append((block.start_s, float(np.max(np.abs(block.samples)))))
            if block.start_s > 2.0:
                microphone.close()
        after = max(peak for at_s, peak in level if at_s > ends_s + 0.15)
        return starts_s, onset_s, after

    starts_s, onset_s, after = virtual_time(main())
    assert onset_s == pytest.approx(starts_s + 0.002, abs=0.001)
    assert after < 0.001
