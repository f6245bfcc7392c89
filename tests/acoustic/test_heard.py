"""Turns in synthetic recordings whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.acoustic.heard import HeardTurn, first_audible_sample, hear_turn
from voicebot.acoustic.loopback_assistant import beep
from voicebot.acoustic.self_test import noise_clip
from voicebot.bench.callers import CallerTurn
from voicebot.errors import AudioError

RATE_HZ = 48_000
TRUE_END_S = 1.5
LABEL = CallerTurn("a", Path(), "turn", 1.8, ((0.3, 0.8), (0.9, TRUE_END_S)))
AT = 19_200
END = AT + round(TRUE_END_S * RATE_HZ)
CLIP = noise_clip(RATE_HZ, 0)


def sides(*replies: tuple[int, np.ndarray], seconds: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Caller and bot; replies by how many samples behind the true end they begin."""
    user, bot = np.zeros((2, round(seconds * RATE_HZ)), np.float32)
    user[AT : AT + CLIP.size] = CLIP
    for behind, sound in replies:
        bot[END + behind : END + behind + sound.size] = sound
    return user, bot


def heard(user: np.ndarray, bot: np.ndarray | None) -> HeardTurn:
    return hear_turn(user, bot, RATE_HZ, clip=CLIP, label=LABEL, starts_s=100.0)


@pytest.mark.parametrize("behind", [1, 479, 480, 481, 10_007, 200_000])
def test_the_figure_is_right_to_the_sample_wherever_the_reply_begins(behind: int) -> None:
    turn = heard(*sides((behind, beep(RATE_HZ))))
    assert turn.voice_to_voice_ms == pytest.approx(behind / 48.0, abs=0.03)
    assert turn.audible_s == pytest.approx(100.0 + (END + behind) / RATE_HZ, abs=1e-4)
    assert not turn.missed
    assert not turn.cut_in
    assert not turn.warnings


def test_what_is_too_soft_is_not_the_reply() -> None:
    click = np.full(20, 0.02, np.float32)  # above the level, but not over a window
    murmur = np.full(24_000, 0.004, np.float32)
    turn = heard(*sides((1_000, murmur), (30_000, click), (40_000, beep(RATE_HZ))))
    assert turn.voice_to_voice_ms == pytest.approx(40_000 / 48.0, abs=0.1)


def test_a_reply_after_five_seconds_has_a_figure_and_is_missed() -> None:
    turn = heard(*sides((round(5.5 * RATE_HZ), beep(RATE_HZ)), seconds=9.0))
    assert turn.missed
    assert turn.voice_to_voice_ms == pytest.approx(5_500.0, abs=0.1)


def test_no_reply_at_all() -> None:
    turn = heard(*sides())
    assert (turn.voice_to_voice_ms, turn.audible_s, turn.missed) == (None, None, True)


def test_a_bot_that_breaks_in_during_a_pause_and_yields_answers_later() -> None:
    turn = heard(*sides((-36_000, beep(RATE_HZ)), (9_600, beep(RATE_HZ))))
    assert turn.cut_in
    assert turn.overlap_ms == pytest.approx(300.0, abs=20.0)
    assert turn.voice_to_voice_ms == pytest.approx(200.0, abs=0.1)


def test_a_bot_that_talks_across_the_end_has_a_negative_figure() -> None:
    turn = heard(*sides((-4_800, beep(RATE_HZ))))
    assert turn.cut_in
    assert turn.voice_to_voice_ms == pytest.approx(-100.0, abs=0.1)


def test_a_bot_that_is_spoken_to_yields() -> None:
    onset_behind = -round((TRUE_END_S - LABEL.start_s) * RATE_HZ)
    turn = heard(*sides((onset_behind - 9_600, beep(RATE_HZ)), (9_600, beep(RATE_HZ))))
    assert turn.yield_ms == pytest.approx(100.0, abs=0.3)
    assert turn.cut_in
    assert turn.voice_to_voice_ms == pytest.approx(200.0, abs=0.1)
    assert heard(*sides((9_600, beep(RATE_HZ)))).yield_ms is None


def test_one_microphone_for_both() -> None:
    user, bot = sides((14_400, beep(RATE_HZ)))
    turn = heard(user + bot, None)
    assert turn.voice_to_voice_ms == pytest.approx(300.0, abs=0.1)
    assert heard(user, None).voice_to_voice_ms is None


def test_clipping_and_dropouts_are_told() -> None:
    user, bot = sides((14_400, beep(RATE_HZ)))
    turn = heard(np.clip(user * 20.0, -1.0, 1.0), bot)
    assert any("clipped" in line for line in turn.warnings)
    assert turn.voice_to_voice_ms == pytest.approx(300.0, abs=1.0)


@pytest.mark.parametrize(("user", "why"), [(0.0, "is silent"), (0.1, "is not found")])
def test_a_caller_who_is_not_in_the_recording(user: float, why: str) -> None:
    noise = user * np.random.default_rng(1).standard_normal(8 * RATE_HZ)
    with pytest.raises(AudioError, match=why):
        heard(noise.astype(np.float32), np.zeros(8 * RATE_HZ, np.float32))


def test_the_first_audible_sample_is_the_first_above_the_level() -> None:
    samples = np.zeros(4_800, np.float32)
    samples[700:] = 0.1
    assert first_audible_sample(samples, RATE_HZ, 480) == 700
