from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from voicebot.audio.files import read_audio
from voicebot.audio.loudness import audible_spans
from voicebot.bench.callers import CallerTurn, load_callers, recorded_callers_dir

CALLERS = load_callers(recorded_callers_dir())
TURNS = [turn for caller in CALLERS for turn in caller.turns]
each_turn = pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name)


def level_dbfs(samples: np.ndarray) -> float:
    return float(10.0 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def test_there_are_enough_of_each_kind() -> None:
    kinds = Counter(caller.kind for caller in CALLERS)
    assert kinds["question"] + kinds["command"] >= 14
    assert kinds["pause"] >= 6
    assert kinds["exchange"] >= 4
    assert len(TURNS) >= 24
    assert len({turn.speaker for turn in TURNS}) >= 3


def test_every_exchange_has_two_turns_of_one_speaker() -> None:
    for caller in CALLERS:
        assert len(caller.turns) == (2 if caller.kind == "exchange" else 1)
        assert len({turn.speaker for turn in caller.turns}) == 1


def test_they_are_small_and_all_listed() -> None:
    files = sorted(recorded_callers_dir().glob("*.flac"))
    assert sum(file.stat().st_size for file in files) < 3_000_000
    assert files == sorted(turn.path for turn in TURNS)
    assert (recorded_callers_dir() / "README.md").is_file()


@each_turn
def test_labels_agree_with_the_waveform(turn: CallerTurn) -> None:
    audio = read_audio(turn.path)
    assert audio.warnings == ()
    assert audio.source_sample_rate_hz == 16_000

    def between(start_s: float, end_s: float) -> np.ndarray:
        return audio.samples[round(start_s * 16_000) : round(end_s * 16_000)]

    # A final stop is hardly more than its release, yet well above the room's -65 dBFS.
    for start_s, end_s in turn.speech:
        assert level_dbfs(between(start_s, start_s + 0.1)) > -56.0
        assert level_dbfs(between(end_s - 0.1, end_s)) > -56.0
    margin_s = 0.05
    silences = [
        (0.0, turn.start_s),
        *turn.pauses,
        (turn.true_end_s, turn.duration_s),
    ]
    for start_s, end_s in silences:
        quiet = between(start_s + margin_s, end_s - margin_s)
        assert -70.0 < level_dbfs(quiet) < -60.0
    spans = audible_spans(audio.samples, 16_000)
    assert turn.start_s - 0.02 <= spans[0][0] / 16_000 <= turn.start_s + 0.1
    assert turn.true_end_s - 0.12 <= spans[-1][1] / 16_000 <= turn.true_end_s + 0.02


@each_turn
def test_the_words_fill_the_speech(turn: CallerTurn) -> None:
    assert turn.text == " ".join(word.text for word in turn.words)
    assert turn.words[0].start_s == turn.start_s
    assert turn.words[-1].end_s == turn.true_end_s
    assert turn.duration_s == pytest.approx(turn.true_end_s + 0.5, abs=0.002)
    for before, after in zip(turn.words[:-1], turn.words[1:], strict=True):
        assert before.start_s < before.end_s <= after.start_s
    for word in turn.words:
        assert any(start <= word.start_s < word.end_s <= end for start, end in turn.speech)


def test_pauses_are_those_that_were_asked_for() -> None:
    lengths = []
    for turn in TURNS:
        assert len(turn.pauses) == (1 if turn.kind == "pause" else 0)
        lengths += [round(end - start, 2) for start, end in turn.pauses]
    assert min(lengths) >= 0.4
    assert max(lengths) <= 1.2
    assert len(set(lengths)) == len(lengths)
