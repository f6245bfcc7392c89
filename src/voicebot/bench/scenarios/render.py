"""From a scenario to callers: clips found, words spoken, rooms and noises mixed.

What has to be made is written into a folder, as WAV files that anybody can listen to; a clip that
is taken as it is stays where it lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import read_audio, write_wav
from voicebot.audio.loudness import audible_spans
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import (
    Background,
    Caller,
    CallerTurn,
    ReplyCue,
    load_callers,
    recorded_callers_dir,
)
from voicebot.bench.scenarios.rooms import in_room, room_response
from voicebot.bench.scenarios.sounds import babble, hum, level_rms, noise, short_sound
from voicebot.bench.scenarios.spoken import speak
from voicebot.errors import CallersError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voicebot.audio.samples import Samples
    from voicebot.bench.scenarios.schema import (
        Conversation,
        Noise,
        Pick,
        Room,
        Say,
        Scenario,
        Turn,
    )

__all__ = ["render_scenario"]

_LEAD_S, _TAIL_S = 0.3, 0.5
_NOISE_S = 20.0
_STORED_RMS = 0.1
"""Noise is stored softer than it was made, since files hold no more than full scale."""
_BABBLE_VOICES = 6


@dataclass(frozen=True, slots=True)
class _Sounding:
    """A turn's samples and what there is to say of them."""

    turn: CallerTurn
    samples: Samples


def render_scenario(scenario: Scenario, scenario_file: Path, folder: Path) -> list[Caller]:
    """The callers of a scenario, in the order in which they call.

    Args:
        scenario: what to make.
        scenario_file: where it was read; its paths are relative to this file's folder.
        folder: takes what is made; created if need be.

    Raises:
        CallersError: a clip or a noise is not there, or the folder of callers breaks its contract.
        OutputError: ``folder`` cannot be written to.
        ModelMissingError: words are to be spoken and there is no voice on this machine.
    """
    return _Renderer(scenario, scenario_file, folder).callers()


class _Renderer:
    def __init__(self, scenario: Scenario, scenario_file: Path, folder: Path) -> None:
        self._scenario = scenario
        self._base = scenario_file.parent
        self._folder = folder
        self._source = self._base / scenario.callers if scenario.callers else recorded_callers_dir()
        self._clips = {
            turn.name: turn for caller in load_callers(self._source) for turn in caller.turns
        }
        self._made = 0
        self._backgrounds: dict[str, tuple[Path, float]] = {}

    def callers(self) -> list[Caller]:
        once = [
            *(caller for pick in self._scenario.picks for caller in self._picked(pick)),
            *(self._conversation(each) for each in self._scenario.conversations),
        ]
        if self._scenario.repeat == 1:
            return once
        return [
            replace(caller, name=f"{caller.name} ({round_})")
            for round_ in range(1, self._scenario.repeat + 1)
            for caller in once
        ]

    def _picked(self, pick: Pick) -> Iterator[Caller]:
        kinds = ",".join(pick.kinds) or None
        noise_, room = pick.noise or self._scenario.noise, pick.room or self._scenario.room
        for caller in load_callers(self._source, kinds, pick.limit, self._scenario.seed):
            turns = [_Sounding(turn, read_audio(turn.path).samples) for turn in caller.turns]
            yield self._placed(replace(caller, turns=()), turns, noise_, room)

    def _conversation(self, told: Conversation) -> Caller:
        turns = list(self._turns(told))
        noise_, room = told.noise or self._scenario.noise, told.room or self._scenario.room
        caller = Caller(told.name, turns[0].turn.kind, ())
        return self._placed(caller, turns, noise_, room)

    def _turns(self, told: Conversation) -> Iterator[_Sounding]:
        silence_s = 0.0
        for number, turn in enumerate(told.turns):
            if turn.silence_s is not None:
                silence_s += turn.silence_s
                continue
            sounding = self._sounding(turn, f"{told.name}-{number + 1}")
            gap_s = turn.after_s
            if silence_s:
                gap_s = silence_s + (gap_s or 0.0)
            silence_s = 0.0
            cue = None
            if turn.into_reply_s is not None or turn.at_word is not None:
                cue = ReplyCue(turn.into_reply_s or 0.0, turn.at_word or 0)
            kind = turn.kind or sounding.turn.kind
            yield replace(sounding, turn=replace(sounding.turn, gap_s=gap_s, cue=cue, kind=kind))
        if silence_s:
            raise CallersError(
                f"the conversation {told.name} ends in silence", "put the silence before a turn"
            )

    def _sounding(self, turn: Turn, name: str) -> _Sounding:
        if turn.clip is not None:
            clip = self._clip(turn.clip)
            return _Sounding(clip, read_audio(clip.path).samples)
        if turn.say is not None:
            return self._said(turn.say, name)
        return self._short_sound(turn.sound or "", name)

    def _clip(self, name: str) -> CallerTurn:
        found = [turn for path, turn in self._clips.items() if path.startswith(name)]
        exact = [turn for turn in found if turn.name == name]
        if len(exact or found) != 1:
            what = "no clip" if not found else f"{len(found)} clips"
            raise CallersError(
                f"{what} of {self._source} begin with {name!r}",
                "name one by its `path` in the manifest, or a beginning that only it has",
            )
        return (exact or found)[0]

    def _said(self, say: Say, name: str) -> _Sounding:
        samples, speech = speak(say.text, say.voice)
        text = re.sub(r"\s*\|[^|]*\|\s*", " ", say.text).strip()
        return self._labelled(name, "said", samples, speech, text=text, speaker=say.voice)

    def _short_sound(self, sound: str, name: str) -> _Sounding:
        made = short_sound(sound, self._scenario.seed)
        spans = audible_spans(made, INPUT_SAMPLE_RATE_HZ)
        speech = ((spans[0][0] / INPUT_SAMPLE_RATE_HZ, spans[-1][1] / INPUT_SAMPLE_RATE_HZ),)
        return self._labelled(name, "noise", made, speech, text=None, speaker=None)

    @staticmethod
    def _labelled(
        name: str,
        kind: str,
        samples: Samples,
        speech: tuple[tuple[float, float], ...],
        *,
        text: str | None,
        speaker: str | None,
    ) -> _Sounding:
        lead = np.zeros(round(_LEAD_S * INPUT_SAMPLE_RATE_HZ), np.float32)
        tail = np.zeros(round(_TAIL_S * INPUT_SAMPLE_RATE_HZ), np.float32)
        clip = np.concatenate((lead, samples, tail))
        duration_s = len(clip) / INPUT_SAMPLE_RATE_HZ
        turn = CallerTurn(
            name=name,
            path=recorded_callers_dir(),  # replaced when it is stored
            kind=kind,
            duration_s=duration_s,
            speech=tuple(
                (round(start_s + _LEAD_S, 4), round(min(end_s + _LEAD_S, duration_s), 4))
                for start_s, end_s in speech
            ),
            text=text,
            speaker=speaker,
        )
        return _Sounding(turn, clip)

    def _placed(
        self, caller: Caller, turns: list[_Sounding], noise_: Noise | None, room: Room | None
    ) -> Caller:
        background = None
        if noise_ is not None:
            level = level_rms(turns[0].samples)
            path, rms = self._noise_file(noise_)
            background = Background(path, level * 10.0 ** (-noise_.snr_db / 20.0) / rms)
        placed = tuple(self._stored(turn, room) for turn in turns)
        if around := _around(noise_, room):
            # The same clip in other surroundings is another turn to whoever compares.
            placed = tuple(replace(turn, kind=f"{turn.kind}, {around}") for turn in placed)
            caller = replace(caller, name=f"{caller.name}, {around}")
        return replace(caller, turns=placed, background=background)

    def _stored(self, sounding: _Sounding, room: Room | None) -> CallerTurn:
        turn = sounding.turn
        if room is None and turn.path.is_file():
            return turn
        samples = sounding.samples
        if room is not None:
            seed = self._scenario.seed
            response = room_response(room.rt60_s, room.direct_to_reverberant_db, seed)
            samples = in_room(samples, response)
            # Reverberation adds to the level: the speech stays as loud as it was.
            heard = level_rms(samples)
            if heard:
                samples = samples * np.float32(level_rms(sounding.samples) / heard)
        self._made += 1
        stem = re.sub(r"[^A-Za-z0-9]+", "-", turn.name.removesuffix(".flac")).strip("-")
        path = self._folder / f"{self._made:03d}-{stem}.wav"
        self._write(path, samples)
        return replace(turn, path=path, duration_s=len(samples) / INPUT_SAMPLE_RATE_HZ)

    def _noise_file(self, told: Noise) -> tuple[Path, float]:
        """A file to be looped, and the RMS of what it holds."""
        if told.file is not None:
            path = self._base / told.file
            if not path.is_file():
                raise CallersError(f"there is no noise {path}", "give a path from the scenario on")
            samples = read_audio(path).samples
            return path, float(np.sqrt(np.mean(np.square(samples)))) or 1.0
        kind = told.kind or ""
        if kind not in self._backgrounds:
            path = self._folder / f"noise-{kind}.wav"
            self._write(path, self._noise(kind) * np.float32(_STORED_RMS))
            stored = read_audio(path).samples
            self._backgrounds[kind] = (path, float(np.sqrt(np.mean(np.square(stored)))))
        return self._backgrounds[kind]

    def _noise(self, kind: str) -> Samples:
        seed = self._scenario.seed
        if kind == "hum":
            return hum(_NOISE_S, seed)
        if kind == "babble":
            rng = np.random.default_rng(seed)
            turns = list(self._clips.values())
            chosen = rng.permutation(len(turns))[:_BABBLE_VOICES]
            voices = [read_audio(turns[index].path).samples for index in chosen]
            return babble(voices, _NOISE_S, seed)
        return noise(kind, _NOISE_S, seed)

    def _write(self, path: Path, samples: Samples) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(path, samples, INPUT_SAMPLE_RATE_HZ)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}", "give another folder with --out"
            ) from error


def _around(noise_: Noise | None, room: Room | None) -> str:
    """The surroundings in a few words; empty for none."""
    words = []
    if noise_ is not None:
        words.append(f"{noise_.kind or noise_.file} {noise_.snr_db:g} dB")
    if room is not None:
        words.append(f"room {room.rt60_s:g} s")
    return ", ".join(words)
