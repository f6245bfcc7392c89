"""Streams that change their rate with almost no delay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from voicebot.audio.resampling import StreamResampler

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

RATES = [(48_000, 16_000), (44_100, 16_000), (22_050, 48_000), (16_000, 44_100), (8_000, 16_000)]


def chirp(rate_hz: int, *, top_hz: float = 3000.0, seconds: float = 2.0) -> Samples:
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    phase = np.pi * top_hz / seconds * time_s**2
    return (0.5 * np.sin(phase)).astype(np.float32)


def in_chunks(resampler: StreamResampler, samples: Samples, sizes: list[int]) -> list[Samples]:
    given, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        given.append(resampler.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return [*given, resampler.tail()]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_stream_in_odd_chunks_is_what_it_is_as_a_whole(from_hz: int, to_hz: int) -> None:
    sound = chirp(from_hz)
    got = np.concatenate(in_chunks(StreamResampler(from_hz, to_hz), sound, [1, 441, 37, 1000]))
    whole = soxr.resample(sound, from_hz, to_hz, quality="VHQ")
    assert len(got) == -(-len(sound) * to_hz // from_hz)
    edge = to_hz // 100
    assert got[edge:-edge] == pytest.approx(whole[edge : len(got) - edge], abs=1e-3)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_no_more_than_a_few_milliseconds_wait(from_hz: int, to_hz: int) -> None:
    resampler = StreamResampler(from_hz, to_hz)
    block = np.zeros(from_hz // 100, dtype=np.float32)
    given = 0
    for index in range(200):
        given += len(resampler.push(block))
        waiting_s = (index + 1) * len(block) / from_hz - given / to_hz
        assert waiting_s <= 16 / (0.94 * min(from_hz, to_hz)) + 2 / min(from_hz, to_hz)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    time_s = np.arange(48_000) / 48_000
    whistle = (0.5 * np.sin(2 * np.pi * 10_000 * time_s)).astype(np.float32)
    heard = StreamResampler(48_000, 16_000).push(whistle)[200:]
    assert np.max(np.abs(heard)) < 0.5 * 10 ** (-70 / 20)
    hum = (0.5 * np.sin(2 * np.pi * 6_500 * time_s)).astype(np.float32)
    kept = StreamResampler(48_000, 16_000).push(hum)[200:]
    assert np.max(np.abs(kept)) == pytest.approx(0.5, rel=0.02)


def test_the_tail_can_be_looked_at_without_changing_the_stream() -> None:
    sound = chirp(22_050, seconds=0.1)
    looked, plain = StreamResampler(22_050, 48_000), StreamResampler(22_050, 48_000)
    first = looked.push(sound[:1000])
    looked.tail()
    both = np.concatenate((first, looked.push(sound[1000:]), looked.tail()))
    assert np.array_equal(both, np.concatenate((plain.push(sound), plain.tail())))
