from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from voicebot.audio.sinks import Playback
from voicebot.bench.turn_audio import TurnAudio, side_by_side
from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

RATE = 16_000


def test_caller_left_and_bot_right_at_their_instants() -> None:
    clip = np.full(RATE, 0.1, np.float32)
    reply = Playback(101.5, np.full(11_025, 0.2, np.float32))
    sound = side_by_side(clip, 100.0, 110.0, [reply], 22_050)
    assert sound.shape == (round(2.3 * RATE), 2)
    assert sound[:RATE, 0] == pytest.approx(0.1)
    assert np.abs(sound[RATE:, 0]).max() == 0.0
    assert np.abs(sound[: round(1.49 * RATE), 1]).max() == 0.0
    assert sound[round(1.6 * RATE) : round(1.9 * RATE), 1] == pytest.approx(0.2, abs=1e-3)


def test_what_belongs_to_other_turns_is_left_out() -> None:
    clip = np.zeros(RATE, np.float32)
    before = Playback(98.0, np.full(RATE, 0.2, np.float32))
    reaching_in = Playback(99.5, np.full(RATE, 0.3, np.float32))
    after = Playback(105.0, np.full(RATE, 0.4, np.float32))
    sound = side_by_side(clip, 100.0, 104.0, [before, reaching_in, after], RATE)
    assert sound[: RATE // 2, 1] == pytest.approx(0.3)
    assert np.abs(sound[RATE // 2 :, 1]).max() == 0.0


def test_files_are_numbered_and_stay_in_the_folder(tmp_path: Path) -> None:
    audio = TurnAudio(tmp_path)
    sound = np.zeros((RATE, 2), np.float32)
    assert audio.write("../a b/c.wav", sound) == "audio/001-a-b-c.flac"
    assert audio.write("d.flac", sound) == "audio/002-d.flac"
    read, rate = soundfile.read(tmp_path / "audio" / "001-a-b-c.flac")
    assert (read.shape, rate) == ((RATE, 2), RATE)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        TurnAudio(tmp_path / "file").write("a.wav", sound)
