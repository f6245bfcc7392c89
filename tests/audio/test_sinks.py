"""The virtual loudspeaker against a sound card's rules, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio.sinks import Playback, VirtualSpeaker, stitch

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples

RATE_HZ = 16_000
BLOCK_S = 0.01
LATENCY_S = 0.02


def speaker() -> VirtualSpeaker:
    return VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)


def tone(seconds: float) -> Samples:
    return np.full(round(seconds * RATE_HZ), 0.5, dtype=np.float32)


@pytest.mark.parametrize("written_at_s", [0.0, 0.001, 0.0099, 0.01, 0.0101, 0.5037])
def test_a_sample_leaves_at_the_next_tick_and_the_latency_later(
    virtual_time: Callable[[Any], Any], written_at_s: float
) -> None:
    async def main() -> float:
        sink = speaker()
        sink.begin()
        sink.clear()  # starts its clock
        await asyncio.sleep(written_at_s)
        return sink.write(tone(0.1))

    starts_s = virtual_time(main())
    waited_s = starts_s - LATENCY_S - written_at_s
    assert -1e-9 <= waited_s < BLOCK_S, "never before it was written, never later than a block"
    assert starts_s / BLOCK_S == pytest.approx(round(starts_s / BLOCK_S)), "on a tick"


def test_what_follows_in_time_follows_without_a_gap(virtual_time: Callable[[Any], Any]) -> None:
    async def main() -> None:
        sink = speaker()
        sink.begin()
        first_s = sink.write(tone(0.1))
        await asyncio.sleep(0.05)
        assert sink.write(tone(0.1)) == pytest.approx(first_s + 0.1)
        assert sink.ends_s == pytest.approx(first_s + 0.2)
        assert sink.underruns == 0
        (playback,) = sink.take_played()
        assert len(playback.samples) == round(0.2 * RATE_HZ)
        assert sink.take_played() == []

    virtual_time(main())


def test_running_dry_within_an_utterance_is_an_underrun(
    virtual_time: Callable[[Any], Any],
) -> None:
    async def main() -> None:
        sink = speaker()
        sink.begin()
        sink.write(tone(0.1))
        await asyncio.sleep(0.3)
        sink.write(tone(0.1))
        assert sink.underruns == 1
        await asyncio.sleep(0.3)
        sink.begin()
        sink.write(tone(0.1))
        assert sink.underruns == 1, "a pause between utterances is none"
        assert len(sink.take_played()) == 3

    virtual_time(main())


def test_clear_keeps_what_has_left_and_drops_the_rest(virtual_time: Callable[[Any], Any]) -> None:
    async def main() -> None:
        sink = speaker()
        sink.begin()
        first_s = sink.write(tone(1.0))
        await asyncio.sleep(0.255)
        silent_from_s = sink.clear()
        assert silent_from_s == pytest.approx(first_s + 0.26), "the block in the card plays on"
        (playback,) = sink.take_played()
        assert playback.start_s + len(playback.samples) / RATE_HZ == pytest.approx(silent_from_s)
        assert sink.underruns == 0

    virtual_time(main())


def test_stitching_joins_neighbours_only() -> None:
    parts = [Playback(1.0, tone(0.1)), Playback(1.1, tone(0.1)), Playback(1.5, tone(0.1))]
    joined = stitch(parts, RATE_HZ)
    assert [(round(p.start_s, 3), len(p.samples)) for p in joined] == [(1.0, 3200), (1.5, 1600)]
