from __future__ import annotations

import numpy as np

from voicebot.engines.speech_track import SpeechTrack

FRAME = 100


class LevelVad:
    """Takes the level of a frame for its speech probability."""

    frame_samples = FRAME

    def __init__(self) -> None:
        self.resets = 0

    def probability(self, frame: np.ndarray) -> float:
        return float(frame.mean())

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        pass


def track(*levels: float) -> SpeechTrack:
    speech = SpeechTrack(LevelVad())
    speech.start()
    for level in levels:
        speech.push(np.full(FRAME, level, np.float32))
    return speech


def test_a_pause_begins_once() -> None:
    speech = track()
    said = [
        speech.push(np.full(FRAME, level, np.float32)) for level in (0, 0.9, 0.4, 0.1, 0.1, 0.9, 0)
    ]
    assert said == [False, False, False, True, False, False, True]


def test_a_pause_that_is_over_within_a_block_is_none() -> None:
    speech = track()
    block = np.repeat(np.array([0.9, 0.1, 0.9], np.float32), FRAME)
    assert not speech.push(block)


def test_what_came_after_a_decoding_is_told_from_silence() -> None:
    speech = track(0.9, 0.9, 0.2, 0.05)
    assert speech.may_hold_speech(200)
    assert not speech.may_hold_speech(300)
    assert speech.speech_samples(0, 400) == 200


def test_the_rest_of_a_frame_counts_as_the_frame_before() -> None:
    speech = track(0.9)
    assert not speech.may_hold_speech(100)
    speech.push(np.zeros(50, np.float32))
    assert speech.may_hold_speech(100)


def test_the_longest_pause_is_cut_in_its_middle() -> None:
    speech = track(0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9)
    assert speech.best_cut(0, 900) == 500


def test_of_equal_pauses_the_later_is_cut() -> None:
    assert track(0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9).best_cut(0, 700) == 500


def test_without_a_pause_the_least_likely_frame_is_cut() -> None:
    assert track(0.9, 0.9, 0.6, 0.9).best_cut(0, 400) == 250


def test_a_cut_stays_within_its_limits() -> None:
    assert track(0.1, 0.1, 0.1, 0.1, 0.9).best_cut(300, 500) == 350
    assert track(0.1).best_cut(0, 0) in {0, 50}


def test_a_new_turn_forgets() -> None:
    speech = track(0.9)
    speech.start()
    assert speech.speech_samples(0, 100) == 0
