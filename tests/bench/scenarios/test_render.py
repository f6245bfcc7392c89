"""Scenarios become callers: what is found, what is made, and what is mixed in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.audio.files import read_audio, write_wav
from voicebot.bench.callers import ReplyCue
from voicebot.bench.scenarios.render import render_scenario
from voicebot.bench.scenarios.schema import read_scenario
from voicebot.bench.scenarios.sounds import level_rms
from voicebot.errors import CallersError

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.callers import Caller

RATE = 16_000
HEAD = 'format = "voicebot.scenario/1"\ntitle = "t"\ncallers = "folder"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    rows = []
    for number, kind in enumerate(("question", "question", "command")):
        time_s = np.arange(RATE) / RATE
        samples = (0.1 * np.sin(2 * np.pi * (300 + 100 * number) * time_s)).astype(np.float32)
        write_wav(folder / f"{number}-{kind}.wav", samples, RATE)
        rows.append({"path": f"{number}-{kind}.wav", "speech": [[0.0, 1.0]], "kind": kind})
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def rendered(place: Path, text: str) -> list[Caller]:
    file = place / "scenario.toml"
    file.write_text(HEAD + text, encoding="utf-8")
    return render_scenario(read_scenario(file), file, place / "out")


def test_picked_callers_are_played_as_they_lie(place: Path) -> None:
    callers = rendered(place, '[[pick]]\nkinds = ["question"]\n[[pick]]\nkinds = ["command"]')
    assert [caller.name for caller in callers] == [
        "0-question.wav",
        "1-question.wav",
        "2-command.wav",
    ]
    assert callers[0].turns[0].path == place / "folder" / "0-question.wav"
    assert not (place / "out").exists()


def test_a_conversation_is_made_of_clips_words_sounds_and_silence(place: Path) -> None:
    (caller,) = rendered(
        place,
        """
[[conversation]]
name = "one"
turns = [
  { clip = "0-" },
  { silence_s = 2.0 },
  { say = { text = "okay then" }, kind = "agreement" },
  { sound = "cough", into_reply_s = 0.8 },
  { clip = "2-command.wav", after_s = 0.5 },
]
""",
    )
    clip, said, cough, last = caller.turns
    assert clip.kind == "question"
    assert (said.kind, said.gap_s, said.text) == ("agreement", 2.0, "okay then")
    assert said.path.parent == place / "out"
    assert said.speech[0][0] == pytest.approx(0.3, abs=0.001)
    assert said.true_end_s == pytest.approx(said.duration_s - 0.5, abs=0.002)
    assert (cough.kind, cough.cue) == ("noise", ReplyCue(0.8))
    assert last.gap_s == 0.5


def test_noise_lies_beneath_at_the_level_that_was_told(place: Path) -> None:
    (caller,) = rendered(place, '[[pick]]\nlimit = 1\nnoise = { kind = "pink", snr_db = 12.0 }')
    assert caller.background is not None
    noise = read_audio(caller.background.path).samples * caller.background.gain
    speech = read_audio(caller.turns[0].path).samples
    ratio = 20 * np.log10(level_rms(speech) / np.sqrt(np.mean(noise**2)))
    assert ratio == pytest.approx(12.0, abs=0.1)
    assert caller.turns[0].kind == "question in pink 12 dB"


def test_a_recording_can_be_the_noise(place: Path) -> None:
    write_wav(place / "rain.wav", np.full(RATE, 0.02, np.float32) * np.resize([1, -1], RATE), RATE)
    (caller,) = rendered(place, '[[pick]]\nlimit = 1\nnoise = { file = "rain.wav", snr_db = 6.0 }')
    assert caller.background is not None
    assert caller.background.path == place / "rain.wav"
    with pytest.raises(CallersError, match="no noise"):
        rendered(place, '[[pick]]\nnoise = { file = "snow.wav", snr_db = 6.0 }')


def test_a_room_keeps_label_length_and_level(place: Path) -> None:
    (caller,) = rendered(place, "[[pick]]\nlimit = 1\nroom = { rt60_s = 0.4 }")
    turn = caller.turns[0]
    heard = read_audio(turn.path).samples
    dry = read_audio(place / "folder" / turn.name).samples
    assert turn.path.parent == place / "out"
    assert len(heard) == len(dry)
    assert turn.speech == ((0.0, 1.0),)
    assert level_rms(heard) == pytest.approx(level_rms(dry), rel=0.02)
    assert not np.allclose(heard, dry, atol=1e-3)


def test_a_kind_in_its_surroundings_holds_no_comma(place: Path) -> None:
    (caller,) = rendered(
        place,
        '[[pick]]\nlimit = 1\nroom = { rt60_s = 0.4 }\nnoise = { kind = "hum", snr_db = 9.0 }',
    )
    assert caller.turns[0].kind == "question in hum 9 dB and room 0.4 s"
    assert "," not in caller.name


def test_babble_is_made_of_the_callers(place: Path) -> None:
    callers = rendered(place, '[[pick]]\nnoise = { kind = "babble", snr_db = 15.0 }')
    assert len({caller.background for caller in callers if caller.background}) >= 1
    assert (place / "out" / "noise-babble.wav").exists()


def test_repeats_are_callers_of_their_own(place: Path) -> None:
    callers = rendered(place, 'repeat = 3\n[[pick]]\nkinds = ["command"]')
    assert [caller.name for caller in callers] == [f"2-command.wav ({n})" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ('{ clip = "9-" }', "no clip"),
        ('{ clip = "" }', "3 clips"),
        ('{ clip = "0-" }, { silence_s = 1.0 }', "ends in silence"),
    ],
)
def test_what_cannot_be_made_is_one_line(place: Path, turns: str, said: str) -> None:
    with pytest.raises(CallersError, match=said):
        rendered(place, f'[[conversation]]\nname = "a"\nturns = [{turns}]')
