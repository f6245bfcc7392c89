"""A conversation in writing: Markdown to read, JSON lines to work with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError, OutputError
from voicebot.events import Outcome
from voicebot.latency import estimated_breakdown
from voicebot.terminal.printable import printable

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from voicebot.events import TurnClosed

__all__ = ["TranscriptEntry", "TranscriptFile", "check_transcript_path", "entry_of", "save"]

_SUFFIXES = (".md", ".jsonl")
_UNSPOKEN = (Outcome.MERGED,)


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """A turn, in writing.

    Attributes:
        at: when the user began, ISO 8601 with the offset from UTC.
        turn: its number.
        outcome: how it ended, a value of ``events.Outcome``.
        user: the user's words; empty where the last reply was repeated.
        bot: what was heard of the reply.
        unheard: what was written of the reply beyond that; empty if all was heard.
        typed: whether the user wrote instead of speaking.
        voice_to_voice_ms: from the estimated end of the user's speech to the reply's first sample;
            None without a reply.
        failure: what went wrong, one line.
    """

    at: str
    turn: int
    outcome: str
    user: str
    bot: str
    unheard: str
    typed: bool
    voice_to_voice_ms: float | None
    failure: str | None


def entry_of(turn: TurnClosed, at: datetime) -> TranscriptEntry | None:
    """The entry of a turn; None if nothing was said, or if the turn went on in a later one."""
    if turn.outcome in _UNSPOKEN or not (turn.transcript or turn.heard or turn.failure):
        return None
    parts = estimated_breakdown(turn)
    return TranscriptEntry(
        at=at.isoformat(timespec="seconds"),
        turn=turn.turn,
        outcome=turn.outcome.value,
        user=turn.transcript,
        bot=turn.heard,
        unheard=turn.reply.removeprefix(turn.heard).strip() if turn.heard != turn.reply else "",
        typed=turn.is_typed,
        voice_to_voice_ms=None if parts is None else round(parts.total_ms, 1),
        failure=turn.failure,
    )


def check_transcript_path(path: Path) -> None:
    """Find out before the conversation that a transcript can be written there.

    Raises:
        ConfigError: neither Markdown nor JSON lines, or no such folder.
        OutputError: it cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"the transcript {path} has the suffix {path.suffix or 'none'!r}",
            "name it .md (to read) or .jsonl (a JSON object for each turn)",
        )
    if not path.resolve().parent.is_dir():
        raise ConfigError(
            f"there is no folder {path.parent} for the transcript", "make it, or choose another"
        )
    was_there = path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise _refused(path, error) from error


def save(entries: list[TranscriptEntry], path: Path, started_at: datetime) -> None:
    """Write a whole transcript; what is there already stays in front of it.

    Raises:
        OutputError: it cannot be written.
    """
    file = TranscriptFile(path, started_at)
    file.begin()
    for entry in entries:
        file.append(entry)


class TranscriptFile:
    """A transcript that grows turn by turn; what is written stays, whatever happens later.

    Args:
        path: ends in ``.md`` or ``.jsonl``; text that is there already stays in front.
        started_at: of the conversation.
    """

    def __init__(self, path: Path, started_at: datetime) -> None:
        self.path = path
        self._started_at = started_at
        self._is_markdown = path.suffix.lower() == ".md"

    def begin(self) -> None:
        """Write what stands in front of the first turn.

        Raises:
            OutputError: it cannot be written.
        """
        title = f"# Conversation of {self._started_at:%Y-%m-%d %H:%M}\n"
        self._write(title if self._is_markdown else "")

    def append(self, entry: TranscriptEntry) -> None:
        """Write a turn.

        Raises:
            OutputError: it cannot be written.
        """
        if self._is_markdown:
            self._write(_markdown(entry))
        else:
            self._write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    def _write(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise _refused(self.path, error) from error


def _refused(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the transcript {path} cannot be written ({error.strerror or error})",
        "choose a folder that exists, can be written and has space",
    )


def _markdown(entry: TranscriptEntry) -> str:
    lines = [""]
    if entry.user:
        how = "You (typed)" if entry.typed else "You"
        lines.append(f"**{how}:** {printable(entry.user)}  ")
    if entry.outcome == Outcome.REPEATED.value:
        lines.append("*(said again)*  ")
    if entry.bot:
        cut = " *(interrupted)*" if entry.unheard else ""
        lines.append(f"**Bot:** {printable(entry.bot)}{cut}")
    if entry.failure:
        lines.append(f"*({printable(entry.failure)})*")
    lines[-1] = lines[-1].rstrip()
    return "\n".join(lines) + "\n"
