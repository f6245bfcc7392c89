"""Folders of callers as they are made: sentences, labels, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.bench.caller_folder import CallerFolder, Line, label_speech, read_lines
from voicebot.bench.callers import load_callers
from voicebot.errors import CallersError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

RATE = 16_000


def speech_like(*spans: tuple[float, float], length_s: float, noise: float = 0.001) -> np.ndarray:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, noise, round(length_s * RATE))
    for start, end in spans:
        count = round(end * RATE) - round(start * RATE)
        samples[round(start * RATE) : round(end * RATE)] += 0.2 * np.sin(np.arange(count) * 0.2)
    return samples.astype(np.float32)


def test_sentences_have_a_kind_and_a_conversation_if_they_like(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text(
        "\ufeff# who asks\n\nwhat time is it\ntell me |0.6| a joke\n"
        "command\tturn it off\nexchange\ttalk\tand then\n",
        encoding="utf-8",
    )
    assert read_lines(file) == [
        Line("what time is it", "question"),
        Line("tell me |0.6| a joke", "pause"),
        Line("turn it off", "command"),
        Line("and then", "exchange", "talk"),
    ]
    assert Line("tell me |0.6| a joke", "pause").words == "tell me a joke"


@pytest.mark.parametrize("text", ["", "# nothing\n", "a\tb\tc\td\n", "question\t\n"])
def test_sentences_that_are_none_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "lines.txt").write_text(text)
    with pytest.raises(CallersError):
        read_lines(tmp_path / "lines.txt")
    (tmp_path / "lines.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CallersError, match="UTF-8"):
        read_lines(tmp_path / "lines.txt")


def test_speech_is_found_to_a_window_and_clicks_are_not() -> None:
    samples = speech_like((0.5, 1.2), (1.8, 2.5), length_s=3.5)
    samples[round(3.0 * RATE) : round(3.02 * RATE)] += 0.3
    found = label_speech(samples)
    assert len(found) == 2
    assert found[0] == pytest.approx((0.5, 1.2), abs=0.011)
    assert found[1] == pytest.approx((1.8, 2.5), abs=0.011)


def test_a_short_gap_is_part_of_the_speech() -> None:
    (span,) = label_speech(speech_like((0.5, 1.0), (1.15, 1.6), length_s=2.5))
    assert span == pytest.approx((0.5, 1.6), abs=0.011)
    assert label_speech(np.zeros(0, np.float32)) == ()
    assert label_speech(np.zeros(RATE, np.float32)) == ()


def test_a_folder_that_was_made_can_be_played(tmp_path: Path) -> None:
    folder = CallerFolder(tmp_path / "made")
    samples = speech_like((0.0, 1.0), length_s=1.0)
    folder.add(
        Line("a |0.5| b", "pause"), samples, [(0.0, 0.4), (0.6, 1.0)], speaker="me", checked=True
    )
    folder.add(Line("c", "../x/y", "talk"), samples, [(0.0, 1.0)], speaker="me", checked=False)
    assert folder.turns == 2
    first, second = load_callers(tmp_path / "made")
    assert first.turns[0].speech == ((0.3, 0.7), (0.9, 1.3))
    assert first.turns[0].text == "a b"
    assert second.name == "talk"
    assert second.turns[0].path.parent == tmp_path / "made"


def test_a_folder_with_callers_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(OutputError, match="already"):
        CallerFolder(tmp_path)
    with pytest.raises(CallersError, match="no speech"):
        CallerFolder(tmp_path / "new").add(
            Line("a", "b"), np.zeros(10, np.float32), [], speaker="me", checked=True
        )


def test_a_bar_without_its_fellow_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("what time is it\n\ntell me |0.6 a joke\n")
    with pytest.raises(CallersError, match=r"lines\.txt:3: a bar without its fellow"):
        read_lines(tmp_path / "lines.txt")


def test_what_was_added_is_callers_at_once(tmp_path: Path) -> None:
    folder = CallerFolder(tmp_path / "made")
    samples = speech_like((0.0, 1.0), length_s=1.0)
    folder.add(Line("one", "question"), samples, [(0.0, 1.0)], speaker="me", checked=True)
    assert len(load_callers(tmp_path / "made")) == 1
    with pytest.raises(CallersError):
        folder.add(Line("two", "question"), samples, [], speaker="me", checked=True)
    assert len(load_callers(tmp_path / "made")) == folder.turns == 1
