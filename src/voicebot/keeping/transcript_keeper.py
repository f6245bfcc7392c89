"""Follows a conversation and keeps its transcript."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from voicebot.errors import OutputError
from voicebot.events import TurnClosed
from voicebot.keeping.transcript import TranscriptEntry, TranscriptFile, entry_of, save

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.errors import VoicebotError
    from voicebot.events import Event

__all__ = ["TranscriptKeeper"]


class TranscriptKeeper:
    """Keeps what was said; writes it as it grows if a file is given. Needs a running event loop.

    Args:
        path: the file; None keeps the words in memory until ``save``.
        on_failure: told once if the file cannot be written; the conversation goes on.
    """

    def __init__(self, path: Path | None, *, on_failure: Callable[[VoicebotError], None]) -> None:
        self._on_failure = on_failure
        self._started_at = datetime.now(UTC).astimezone()
        self._started_s = asyncio.get_running_loop().time()
        self._entries: list[TranscriptEntry] = []
        self._saved: Path | None = None
        self._file = TranscriptFile(path, self._started_at) if path is not None else None
        self._write(lambda file: file.begin())

    def observe(self, event: Event) -> None:
        """Take the next fact of the conversation."""
        if not isinstance(event, TurnClosed):
            return
        since = timedelta(seconds=event.speech_start_s - self._started_s)
        entry = entry_of(event, self._started_at + since)
        if entry is not None:
            self._entries.append(entry)
            self._write(lambda file: file.append(entry))

    def save(self) -> Path | None:
        """Write all of it so far; gives the file, None if nothing was said yet.

        Where a file grows anyway, that is the file. Otherwise it is one in the current folder that
        is named by the conversation's start, and written anew each time.

        Raises:
            OutputError: it cannot be written.
        """
        if self._file is not None:
            return self._file.path
        if not self._entries:
            return None
        try:
            path = self._saved or _new_file(f"voicebot-{self._started_at:%Y%m%d-%H%M%S}")
            self._saved = path
            # The save before stays until this one is whole.
            with TemporaryDirectory(dir=path.parent, prefix=".voicebot-") as folder:
                whole = Path(folder) / path.name
                save(self._entries, whole, self._started_at)
                whole.replace(path)
        except OSError as error:
            raise OutputError(
                f"the transcript cannot be written ({error.strerror or error})",
                "start in a folder that can be written",
            ) from error
        return path

    def _write(self, work: Callable[[TranscriptFile], None]) -> None:
        if self._file is None:
            return
        try:
            work(self._file)
        except OutputError as error:
            self._file = None
            self._on_failure(error)


def _new_file(stem: str) -> Path:
    """A file in the current folder that no other conversation writes, begun in the same second.

    Raises:
        OSError: none can be made.
    """
    for number in count(1):
        path = Path(f"{stem}.md" if number == 1 else f"{stem}-{number}.md")
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError("there is always a next number")
