from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from voicebot.acoustic.recording_file import recording_file
from voicebot.acoustic.tape import KEPT_S, Tape
from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 1_000


def block(first: int, count: int = 100) -> np.ndarray:
    ramp = np.arange(first, first + count, dtype=np.float32)
    return np.stack((ramp, -ramp), axis=1)


def test_any_stretch_of_either_channel() -> None:
    tape = Tape(RATE_HZ, 2)
    for first in range(0, 1_000, 100):
        tape.append(block(first), heard_at_s=0.0)
    samples, begin = tape.channel(1, 250, 460)
    assert begin == 250
    assert np.array_equal(samples, -np.arange(250, 460))
    assert tape.channel(0, 950)[0].size == 50
    assert tape.channel(0, 5_000)[0].size == 0
    assert (tape.end, tape.end_s) == (1_000, 1.0)


def test_only_the_last_minutes_stay() -> None:
    tape = Tape(RATE_HZ, 2)
    kept = round(KEPT_S * RATE_HZ)
    for first in range(0, kept + 5_000, 1_000):
        tape.append(block(first, 1_000), heard_at_s=0.0)
    samples, begin = tape.channel(0, 0)
    assert begin == 5_000
    assert samples[0] == 5_000
    assert samples.size == kept


def test_the_block_that_came_soonest_sets_the_clock() -> None:
    tape = Tape(RATE_HZ, 2)
    for first, late_s in ((0, 0.05), (100, 0.0), (200, 0.3)):
        tape.append(block(first), heard_at_s=500.0 + (first + 100) / RATE_HZ + late_s)
    assert tape.unix_time_s(0.15) == pytest.approx(500.15, abs=1e-3)


def test_the_recording_is_kept_on_request(tmp_path: Path) -> None:
    path = tmp_path / "all.wav"
    with recording_file(path, RATE_HZ, 2) as kept:
        tape = Tape(RATE_HZ, 2, kept)
        tape.append(np.full((100, 2), 0.5, np.float32), heard_at_s=0.0)
        tape.check()
    samples, rate_hz = soundfile.read(path)
    assert (samples.shape, rate_hz) == ((100, 2), RATE_HZ)
    with pytest.raises(OutputError, match="cannot be written"), recording_file(tmp_path, 1_000, 2):
        pass


def test_a_full_disk_is_told_from_the_thread_that_waits(tmp_path: Path) -> None:
    with recording_file(tmp_path / "all.wav", RATE_HZ, 2) as kept:
        tape = Tape(RATE_HZ, 2, kept)
        kept.failure = OutputError("full")
        tape.append(block(0), heard_at_s=0.0)
        assert tape.end == 100
        with pytest.raises(OutputError, match="full"):
            tape.check()
