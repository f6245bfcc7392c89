"""Callers: recorded people that a bench plays to the bot.

A folder of callers holds ``manifest.jsonl``, a JSON object a line, each a turn:

- ``path``: the audio file, relative to the folder and inside it, with ``/`` between its parts;
- ``speech``: ``[[start, end], ...]`` in seconds from the clip's first sample, in order and without
  overlap; the last end is the turn's true end;
- optional ``text``, ``words`` (``[[word, start, end], ...]``), ``speaker``, ``kind``;
- optional ``conversation``: rows with the same value are the turns of one caller, in file order;
  every other row is a caller of one turn;
- optional ``gap_s``: how long the caller is silent between the clip before and this one;
- optional ``into_reply_s`` instead: the turn begins so long after the bot's reply to the one
  before it became audible, or after some seconds if none did.

Other fields are ignored, an optional one may be null, and blank lines are skipped.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from voicebot.audio.files import audio_duration_s
from voicebot.errors import AudioFileError, CallersError, ConfigError

__all__ = [
    "DEFAULT_KIND",
    "MANIFEST_NAME",
    "Background",
    "Caller",
    "CallerTurn",
    "CallerWord",
    "ReplyCue",
    "Span",
    "load_callers",
    "recorded_callers_dir",
]

MANIFEST_NAME = "manifest.jsonl"
DEFAULT_KIND = "turn"
"""The kind of a row that names none."""

_END_TOLERANCE_S = 0.02
_SHOWN_CHARACTERS = 40
_CORRECT_ROW = "correct that row or delete it"

Span: TypeAlias = tuple[float, float]
"""Start and end in seconds from the clip's first sample."""


@dataclass(frozen=True, slots=True)
class ReplyCue:
    """A turn that begins into the bot's reply to the one before it.

    Attributes:
        after_s: so long after the reply's first audible sample, or after the word.
        at_word: as soon as so many words of the reply have been heard; 0 waits for none.
        patience_s: without a reply within this time of the end of the clip before, the caller
            speaks all the same.
    """

    after_s: float
    at_word: int = 0
    patience_s: float = 6.0


@dataclass(frozen=True, slots=True)
class Background:
    """What sounds beneath a caller from the first moment to the last, over and over.

    Attributes:
        path: an audio file.
        gain: what its samples are multiplied by.
    """

    path: Path
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class CallerWord:
    """A word of a turn and when it is spoken, in seconds from the clip's first sample."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """One recorded turn.

    Attributes:
        name: its path as the manifest gives it, which names it in reports.
        path: the audio file.
        kind: what sort of turn it is.
        duration_s: how long the clip lasts.
        speech: its speech segments, in order, at least one.
        text: what is said; None if nobody wrote it down.
        words: the words with their times; empty if not known.
        speaker: who speaks; None if not known.
        gap_s: seconds of silence between the end of the clip before it in the conversation and
            the start of this one; None leaves that to whoever plays it.
        cue: what the turn waits for instead; None for a turn that comes at its time.
    """

    name: str
    path: Path
    kind: str
    duration_s: float
    speech: tuple[Span, ...]
    text: str | None = None
    words: tuple[CallerWord, ...] = ()
    speaker: str | None = None
    gap_s: float | None = None
    cue: ReplyCue | None = None

    @property
    def start_s(self) -> float:
        """Where the caller starts to speak."""
        return self.speech[0][0]

    @property
    def true_end_s(self) -> float:
        """Where the caller's last speech segment ends."""
        return self.speech[-1][1]

    @property
    def pauses(self) -> tuple[Span, ...]:
        """The silences between speech segments, where the turn is not over."""
        return tuple((before[1], after[0]) for before, after in pairwise(self.speech))


@dataclass(frozen=True, slots=True)
class Caller:
    """A recorded person: one turn, or several that make a conversation.

    Attributes:
        name: the conversation's name, or that of the only turn.
        kind: that of the first turn.
        turns: at least one, in the order in which they are spoken.
        background: what sounds beneath all of it; None for the microphone's own faint noise alone.
    """

    name: str
    kind: str
    turns: tuple[CallerTurn, ...]
    background: Background | None = None


def recorded_callers_dir() -> Path:
    """The folder of callers that ships with voicebot."""
    return Path(str(resources.files("voicebot.bench") / "recorded"))


def load_callers(
    folder: Path, kind: str | None = None, limit: int | None = None, seed: int = 0
) -> list[Caller]:
    """Load the callers of a folder, all of them sound or none.

    A limit takes a sample that the seed decides: the callers of each kind are shuffled, and the
    kinds take turns until there are enough. So every kind is in a sample that is large enough, a
    larger sample of the same seed holds the smaller one, and whatever is taken comes in the order
    of the manifest. The seed means nothing without a limit.

    Args:
        folder: where ``manifest.jsonl`` is.
        kind: only callers of this kind, or of these with commas between them; None means all.
        limit: at most so many callers (a conversation counts once); None means all.
        seed: which sample.

    Raises:
        CallersError: the folder breaks its contract; the first problem and how many more there
            are. Also if it has no caller of that kind.
        ConfigError: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"the limit of callers is {limit}", "give 1 or more")
    callers = _conversations(_read_manifest(folder))
    if kind is not None:
        kinds = sorted({caller.kind for caller in callers})
        wanted = [kind] if kind in kinds else [part.strip() for part in kind.split(",")]
        for unknown in (each for each in wanted if each not in kinds):
            raise CallersError(
                f"{folder} has no callers of kind {_shown(unknown)}",
                f"its kinds are {', '.join(kinds)}",
            )
        callers = [caller for caller in callers if caller.kind in wanted]
    return callers if limit is None else _sample(callers, limit, seed)


def _sample(callers: list[Caller], limit: int, seed: int) -> list[Caller]:
    by_kind: dict[str, list[int]] = {}
    for index, caller in enumerate(callers):
        by_kind.setdefault(caller.kind, []).append(index)
    ranked = []
    for place, (kind, indices) in enumerate(by_kind.items()):
        random.Random(f"{seed}/{kind}").shuffle(indices)  # noqa: S311 - a sample, not a secret
        ranked += [(rank, place, index) for rank, index in enumerate(indices)]
    return [callers[index] for index in sorted(index for _, _, index in sorted(ranked)[:limit])]


def _conversations(rows: list[tuple[CallerTurn, str | None]]) -> list[Caller]:
    callers: dict[tuple[str, int], Caller] = {}
    for number, (turn, conversation) in enumerate(rows):
        key = (conversation, -1) if conversation is not None else (turn.name, number)
        caller = callers.get(key)
        if caller is None:
            name = turn.name if conversation is None else conversation
            callers[key] = Caller(name=name, kind=turn.kind, turns=(turn,))
        else:
            callers[key] = replace(caller, turns=(*caller.turns, turn))
    return list(callers.values())


class _RowError(Exception):
    """What is wrong with a row, and the way out."""

    def __init__(self, problem: str, way_out: str = _CORRECT_ROW) -> None:
        super().__init__(problem)
        self.problem = problem
        self.way_out = way_out


def _read_manifest(folder: Path) -> list[tuple[CallerTurn, str | None]]:
    manifest = folder / MANIFEST_NAME
    content = _read_bytes(folder, manifest)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CallersError(f"{manifest} is not UTF-8 but UTF-16", "save it as UTF-8")
    rows: list[tuple[CallerTurn, str | None]] = []
    problems: list[tuple[int, _RowError]] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_Row.parse(line).read(folder))
        except _RowError as error:
            problems.append((number, error))
    if problems:
        number, first = problems[0]
        more = len(problems) - 1
        counted = f" (and {more} more bad row{'s' if more > 1 else ''})" if more else ""
        raise CallersError(f"{manifest}:{number}: {first.problem}{counted}", first.way_out)
    if not rows:
        raise CallersError(f"{manifest} is empty", "give it a row for each recorded turn")
    return rows


def _read_bytes(folder: Path, manifest: Path) -> bytes:
    try:
        if not folder.is_dir():
            raise CallersError(
                f"there is no folder of callers {folder}", f"give a folder with a {MANIFEST_NAME}"
            )
        return manifest.read_bytes()
    except FileNotFoundError as error:
        raise CallersError(
            f"{folder} has no {MANIFEST_NAME}", "give a folder that has one"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CallersError(
            f"{manifest} cannot be read ({reason})", "check the path and its permissions"
        ) from error


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the manifest, whose fields are checked as they are read."""

    fields: dict[str, object]

    @classmethod
    def parse(cls, line: bytes) -> _Row:
        try:
            fields = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise _RowError("it is not UTF-8", "save the file as UTF-8") from error
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise _RowError(f"it is not JSON ({reason})") from error
        if not isinstance(fields, dict):
            raise _RowError("it is not a JSON object")
        return cls(fields)

    def read(self, folder: Path) -> tuple[CallerTurn, str | None]:
        name = self._text("path")
        if name is None:
            raise _RowError("`path` is missing")
        path = _inside(folder, name)
        speech = self._speech()
        words = self._words()
        into_reply_s = self._optional_seconds("into_reply_s")
        turn = CallerTurn(
            name=name,
            path=path,
            kind=self._text("kind") or DEFAULT_KIND,
            duration_s=_duration_s(name, path),
            speech=speech,
            text=self._text("text"),
            words=words,
            speaker=self._text("speaker"),
            gap_s=self._optional_seconds("gap_s"),
            cue=None if into_reply_s is None else ReplyCue(into_reply_s),
        )
        for field, end_s in (("speech", turn.true_end_s), ("words", _last_end_s(words))):
            if end_s > turn.duration_s + _END_TOLERANCE_S:
                raise _RowError(
                    f"`{field}` ends at {end_s:g} s, but {_shown(name)} lasts "
                    f"{turn.duration_s:.2f} s"
                )
        return turn, self._text("conversation")

    def _text(self, field: str) -> str | None:
        value = self.fields.get(field)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise _RowError(f"`{field}` is {_shown(value)}, not a text")
        return value

    def _optional_seconds(self, field: str) -> float | None:
        value = self.fields.get(field)
        return None if value is None else _seconds(field, value)

    def _speech(self) -> tuple[Span, ...]:
        value = self.fields.get("speech")
        if value is None:
            raise _RowError("`speech` is missing")
        if not isinstance(value, list) or not value:
            raise _RowError(f"`speech` is {_shown(value)}, not a list of [start, end]")
        segments = []
        for segment in value:
            match segment:
                case [start, end]:
                    segments.append((_seconds("speech", start), _seconds("speech", end)))
                case _:
                    raise _RowError(f"`speech` holds {_shown(segment)}, not [start, end]")
        for start_s, end_s in segments:
            if end_s <= start_s:
                raise _RowError(f"`speech` holds [{start_s:g}, {end_s:g}], which ends too early")
        for before, after in pairwise(segments):
            if after[0] < before[1]:
                raise _RowError(
                    f"`speech` goes on at {after[0]:g} s before it ends at {before[1]:g} s"
                )
        return tuple(segments)

    def _words(self) -> tuple[CallerWord, ...]:
        value = self.fields.get("words")
        if value is None:
            return ()
        if not isinstance(value, list):
            raise _RowError(f"`words` is {_shown(value)}, not a list of [word, start, end]")
        words = []
        for entry in value:
            match entry:
                case [str(text), start, end]:
                    word = CallerWord(text, _seconds("words", start), _seconds("words", end))
                case _:
                    raise _RowError(f"`words` holds {_shown(entry)}, not [word, start, end]")
            if word.end_s < word.start_s:
                raise _RowError(f"`words` holds {_shown(entry)}, which ends too early")
            words.append(word)
        return tuple(words)


def _last_end_s(words: tuple[CallerWord, ...]) -> float:
    return max((word.end_s for word in words), default=0.0)


def _seconds(field: str, value: object) -> float:
    # A bool is an int to Python, and JSON as Python reads it knows NaN and Infinity.
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        if math.isfinite(seconds) and seconds >= 0.0:
            return seconds
    raise _RowError(f"`{field}` holds {_shown(value)}, not seconds of 0 or more")


def _inside(folder: Path, name: str) -> Path:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.anchor:
        raise _RowError(f"`path` {_shown(name)} is absolute", "make it relative to the manifest")
    path = folder / posix
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise _RowError(f"`path` {_shown(name)} is no path") from error
    if ".." in posix.parts or not inside:
        raise _RowError(
            f"`path` {_shown(name)} leads out of the folder", "put the audio into the folder"
        )
    return path


def _duration_s(name: str, path: Path) -> float:
    try:
        return audio_duration_s(path)
    except AudioFileError as error:
        if not path.exists():
            raise _RowError(
                f"its audio {_shown(name)} is missing", "restore the file or delete the row"
            ) from error
        raise _RowError(error.problem, error.way_out) from error


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
