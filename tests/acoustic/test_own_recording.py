"""The same turns in two recordings whose clocks begin at different times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.acoustic.loopback_assistant import beep
from voicebot.acoustic.own_recording import PlayedClip, own_figures_ms
from voicebot.acoustic.self_test import noise_clip
from voicebot.bench.callers import CallerTurn

RATE_HZ = 16_000
LABEL = CallerTurn("a", Path(), "turn", 1.8, ((0.3, 1.5),))
ROOM_STARTS_S = (1.0, 5.0, 9.0)
OWN_LATER_S = 1.75


def recorded(seeds: tuple[int, ...], delays_ms: tuple[float, ...]) -> np.ndarray:
    frames = np.zeros((14 * RATE_HZ, 2), np.float32)
    for starts_s, seed, delay_ms in zip(ROOM_STARTS_S, seeds, delays_ms, strict=True):
        at = round((starts_s + OWN_LATER_S) * RATE_HZ)
        clip, tone = noise_clip(RATE_HZ, seed), beep(RATE_HZ)
        frames[at : at + clip.size, 0] = clip
        reply = at + round((1.5 + delay_ms / 1000.0) * RATE_HZ)
        frames[reply : reply + tone.size, 1] = tone
    return frames


def played(seeds: tuple[int, ...]) -> list[PlayedClip]:
    return [
        PlayedClip(LABEL, noise_clip(RATE_HZ, seed), starts_s)
        for seed, starts_s in zip(seeds, ROOM_STARTS_S, strict=True)
    ]


@pytest.mark.parametrize("seeds", [(1, 2, 3), (1, 1, 2), (1, 1, 1)])
def test_each_turn_is_found_even_if_a_clip_was_played_twice(seeds: tuple[int, ...]) -> None:
    figures = own_figures_ms(recorded(seeds, (200.0, 310.0, 420.0)), RATE_HZ, played(seeds))
    assert figures == pytest.approx([200.0, 310.0, 420.0], abs=0.1)


def test_a_turn_with_a_cut_in_or_without_its_clip_has_no_figure() -> None:
    frames = recorded((1, 2, 3), (200.0, -400.0, 300.0))
    clips = played((1, 2, 3))
    clips[2] = PlayedClip(LABEL, clips[2].clip, None)
    assert own_figures_ms(frames, RATE_HZ, clips) == [pytest.approx(200.0, abs=0.1), None, None]


def test_a_recording_of_something_else_gives_nothing() -> None:
    silence = np.zeros((14 * RATE_HZ, 2), np.float32)
    assert own_figures_ms(silence, RATE_HZ, played((1, 2, 3))) == [None] * 3
    assert own_figures_ms(silence, RATE_HZ, []) == []
    assert own_figures_ms(silence[:0], RATE_HZ, played((1, 2, 3))) == [None] * 3
