"""A scenario as its TOML file says it."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from voicebot.errors import CallersError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SCHEMA",
    "SOUNDS",
    "Conversation",
    "Noise",
    "Pick",
    "Room",
    "Say",
    "Scenario",
    "Turn",
    "find_scenario",
    "library_scenarios",
    "read_scenario",
]

SCHEMA = "voicebot.scenario/1"

SOUNDS = ("cough", "door", "cup", "rustle", "throat")
"""Short sounds that are no words."""

_LIBRARY = "library"
_Seconds = Annotated[float, Field(ge=0.0, le=600.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Noise(_Part):
    """What sounds beneath a caller, without an end.

    Attributes:
        kind: made noise, or other callers talking at once (babble).
        file: a recording instead, relative to the scenario's file; 16 kHz or any other rate.
        snr_db: the level of the caller's speech over that of the noise.
    """

    kind: Literal["white", "pink", "hum", "babble"] | None = None
    file: str | None = None
    snr_db: float = Field(ge=-20.0, le=60.0)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.kind is None) == (self.file is None):
            raise ValueError("a noise has a kind or a file, one of them")
        return self


class Room(_Part):
    """The room between the caller's mouth and the microphone.

    Attributes:
        rt60_s: how long a sound takes to decay by 60 dB.
        direct_to_reverberant_db: the level of the direct sound over that of the reverberation.
    """

    rt60_s: float = Field(gt=0.0, le=3.0)
    direct_to_reverberant_db: float = Field(default=6.0, ge=-20.0, le=40.0)


class Say(_Part):
    """Words that a voice of this machine speaks.

    Attributes:
        text: what; a bar with seconds between bars, as in ``tell me |0.6| a joke``, is a pause.
        voice: an eSpeak NG voice.
    """

    text: str = Field(min_length=1, max_length=500)
    voice: str = "en-us"


class Turn(_Part):
    """One turn: a clip, words, a short sound, or silence.

    Attributes:
        clip: a caller's clip, by its ``path`` in the folder of callers or the beginning of it.
        say: words to be spoken.
        sound: a short sound.
        silence_s: nothing at all for so long.
        kind: what sort of turn it is; a clip brings its own.
        after_s: how long after the clip before.
        into_reply_s: instead, so long after the bot's reply to the turn before became audible.
        at_word: instead, as soon as so many words of that reply have been heard.
    """

    clip: str | None = None
    say: Say | None = None
    sound: Literal["cough", "door", "cup", "rustle", "throat"] | None = None
    silence_s: _Seconds | None = None
    kind: str | None = Field(default=None, min_length=1)
    after_s: _Seconds | None = None
    into_reply_s: _Seconds | None = None
    at_word: int | None = Field(default=None, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        told = (self.clip, self.say, self.sound, self.silence_s)
        if sum(each is not None for each in told) != 1:
            raise ValueError("a turn has one of clip, say, sound, silence_s")
        moments = (self.after_s, self.into_reply_s, self.at_word)
        if sum(each is not None for each in moments) > 1:
            raise ValueError("a turn has after_s, into_reply_s or at_word, not both")
        return self


class Conversation(_Part):
    """One caller who speaks one turn or several.

    Attributes:
        name: in reports.
        turns: in their order.
        noise: beneath it; else the scenario's.
        room: around it; else the scenario's.
    """

    name: str = Field(min_length=1)
    turns: tuple[Turn, ...] = Field(min_length=1)
    noise: Noise | None = None
    room: Room | None = None

    @model_validator(mode="after")
    def _has_words_to_reply_to(self) -> Self:
        if self.turns[0].into_reply_s is not None or self.turns[0].at_word is not None:
            raise ValueError("the first turn has no reply to speak into")
        if all(turn.silence_s is not None for turn in self.turns):
            raise ValueError("somebody has to make a sound")
        return self


class Pick(_Part):
    """Callers of the folder, taken as they are.

    Attributes:
        kinds: of these kinds; empty means all.
        limit: at most so many, sampled over the kinds.
        noise: beneath them; else the scenario's.
        room: around them; else the scenario's.
    """

    kinds: tuple[str, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    noise: Noise | None = None
    room: Room | None = None


class Scenario(_Part):
    """A scenario.

    Attributes:
        format: the format's name and version.
        title: in a few words.
        about: what it shows.
        callers: the folder of callers, relative to the file; empty for those that ship.
        seed: of samples, noises and rooms.
        repeat: how often all of it is played.
        hang_up_after_s: how much of a reply to their last turn callers hear; none is all of it.
        at_once: how many callers are on the line at the same time, each with models of its own.
        arrivals_per_minute: with several at once, when they call: at random instants, so many a
            minute on average, whatever the bot does; none is one after the other on each line.
        noise: beneath everybody.
        room: around everybody.
        picks: callers taken as they are.
        conversations: callers made of turns.
    """

    format: Literal["voicebot.scenario/1"]
    title: str = Field(min_length=1)
    about: str = ""
    callers: str = ""
    seed: int = Field(default=0, ge=0)
    repeat: int = Field(default=1, ge=1, le=1000)
    hang_up_after_s: _Seconds | None = None
    at_once: int = Field(default=1, ge=1, le=16)
    arrivals_per_minute: float | None = Field(default=None, gt=0.0, le=600.0)
    noise: Noise | None = None
    room: Room | None = None
    picks: tuple[Pick, ...] = Field(default=(), alias="pick")
    conversations: tuple[Conversation, ...] = Field(default=(), alias="conversation")

    @model_validator(mode="after")
    def _somebody_calls(self) -> Self:
        if not self.picks and not self.conversations:
            raise ValueError("nobody calls: give a [[pick]] or a [[conversation]]")
        return self


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from its file.

    Raises:
        CallersError: the file cannot be read, is not TOML, or is no scenario; the line names the
            place.
    """
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CallersError(
            f"the scenario {path} cannot be read: {error.strerror or error}",
            "`voicebot bench scenarios` lists those that ship",
        ) from error
    except (ValueError, RecursionError) as error:
        raise CallersError(f"{path} is not TOML: {error}", "correct that line") from error
    return _validated(table, str(path))


def library_scenarios() -> dict[str, Path]:
    """The scenarios that ship, by name."""
    folder = Path(str(resources.files("voicebot.bench.scenarios") / _LIBRARY))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_scenario(name: str) -> Path:
    """The file of a scenario, given its name in the library or its path.

    Raises:
        CallersError: there is neither.
    """
    known = library_scenarios()
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return path
    raise CallersError(
        f"no scenario is called {name!r}", f"those that ship are {', '.join(known)}; or give a file"
    )


def _validated(table: Mapping[str, object], place: str) -> Scenario:
    try:
        # TOML has arrays where the model has tuples, which strict mode tells apart.
        return Scenario.model_validate(table, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(
            str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"]
        )
        message = first["msg"].removeprefix("Value error, ")
        raise CallersError(
            f"{place} is no scenario, at {where or 'its top'}: {message}",
            "docs/scenarios.md shows what a scenario may hold",
        ) from error
