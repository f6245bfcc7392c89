"""Framing and the memory of recent audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.audio.blocks import AudioBlock, Framer, RecentAudio

RATE_HZ = 16_000


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.integers(1, 700))
def test_frames_are_the_stream_cut_evenly_whatever_the_blocks(
    lengths: list[int], frame_samples: int
) -> None:
    stream = np.arange(sum(lengths), dtype=np.float32)
    framer = Framer(frame_samples)
    frames = []
    at = 0
    for length in lengths:
        block = AudioBlock(stream[at : at + length], 5.0 + at / RATE_HZ)
        frames += list(framer.push(block))
        at += length
    assert len(frames) == len(stream) // frame_samples
    for index, frame in enumerate(frames):
        first = index * frame_samples
        assert np.array_equal(frame.samples, stream[first : first + frame_samples])
        assert frame.start_s == pytest.approx(5.0 + first / RATE_HZ, abs=1e-6)


def test_the_instants_of_frames_never_go_back_when_blocks_overlap_in_time() -> None:
    framer = Framer(512)
    ends_s = 0.0
    for index in range(50):
        jitter_s = 0.002 * (index % 3 - 1)
        block = AudioBlock(np.zeros(300, dtype=np.float32), index * 300 / RATE_HZ + jitter_s)
        for frame in framer.push(block):
            assert frame.start_s >= ends_s - 1e-9
            ends_s = frame.end_s


def test_recent_audio_gives_what_is_asked_for_to_the_sample() -> None:
    recent = RecentAudio(1.0)
    stream = np.arange(3 * RATE_HZ, dtype=np.float32)
    for at in range(0, len(stream), 160):
        recent.push(AudioBlock(stream[at : at + 160], at / RATE_HZ))
    assert np.array_equal(recent.since(2.5), stream[round(2.5 * RATE_HZ) :])
    assert len(recent.since(9.0)) == 0
    everything = recent.since(0.0)
    assert RATE_HZ <= len(everything) <= RATE_HZ + 320, "what is older is forgotten"
