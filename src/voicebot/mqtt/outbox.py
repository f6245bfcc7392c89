"""Figures of turns that wait for the broker: an SQLite file, in order, bounded.

A turn is put in before it is sent and taken out when the broker has confirmed it. So a turn
survives the end of the process at any instant; at worst it is sent again, under the same number.
"""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Outbox", "OutboxCounts", "WaitingTurn"]

_BUSY_TIMEOUT_S = 5.0
_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class WaitingTurn:
    """A turn that waits: its number and its figures as JSON."""

    sequence: int
    body: str


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many turns wait, and how many had to go unsent since the file was begun."""

    waiting: int
    dropped: int


class Outbox:
    """The open file; every method blocks, and all are called from one thread.

    A file that is damaged is put aside under the same name with ``.damaged`` behind it, and a new
    one begun: figures must not keep a kiosk from talking.

    Args:
        path: the file; made with its folder if need be.
        max_turns: how many wait at most.

    Raises:
        OutputError: it cannot be opened.
    """

    def __init__(self, path: Path, *, max_turns: int) -> None:
        self._path = path
        self._max_turns = max_turns
        self.was_damaged = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._database = self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.was_damaged = True
                path.replace(path.with_name(path.name + ".damaged"))
                for rest in ("-wal", "-shm"):
                    path.with_name(path.name + rest).unlink(missing_ok=True)
                self._database = self._open()
        except (OSError, sqlite3.Error) as error:
            raise OutputError(
                f"the outbox {path} cannot be opened: {error}",
                "set mqtt.outbox_file to a file that can",
            ) from error
        self.stream = self._meta("stream")

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            # WAL and FULL: a turn that was put in is there after a cut of power, too.
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN IMMEDIATE")
            # AUTOINCREMENT: a number is never given twice, though its row be gone.
            database.execute(
                "CREATE TABLE IF NOT EXISTS turns "
                "(sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
            )
            database.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [
                    ("schema", str(_SCHEMA_VERSION)),
                    ("stream", uuid.uuid4().hex[:12]),
                    ("dropped", "0"),
                ],
            )
            database.execute("COMMIT")
            database.execute("SELECT count(*) FROM turns").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def counts(self) -> OutboxCounts:
        """How many turns wait and were dropped.

        Raises:
            OutputError: the file cannot be read.
        """
        try:
            return OutboxCounts(self._count(), int(self._meta("dropped")))
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def put(self, body: str) -> None:
        """Add a turn; the oldest goes if there are too many.

        Raises:
            OutputError: the disk is full, or the file is gone.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute("INSERT INTO turns (body) VALUES (?)", (body,))
                too_many = self._count() - self._max_turns
                if too_many > 0:
                    self._database.execute(
                        "DELETE FROM turns WHERE sequence IN "
                        "(SELECT sequence FROM turns ORDER BY sequence LIMIT ?)",
                        (too_many,),
                    )
                    self._database.execute(
                        "UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE name = 'dropped'",
                        (too_many,),
                    )
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _count(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM turns").fetchone()[0])

    def first(self, count: int) -> list[WaitingTurn]:
        """The oldest turns, at most ``count``.

        Raises:
            OutputError: the file cannot be read.
        """
        try:
            with closing(
                self._database.execute(
                    "SELECT sequence, body FROM turns ORDER BY sequence LIMIT ?", (count,)
                )
            ) as rows:
                return [WaitingTurn(sequence, body) for sequence, body in rows]
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def remove(self, sequence: int) -> None:
        """The broker has it.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            self._database.execute("DELETE FROM turns WHERE sequence = ?", (sequence,))
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _meta(self, name: str) -> str:
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def _refusal(self, error: sqlite3.Error) -> OutputError:
        return OutputError(
            f"the outbox {self._path} cannot be used: {error}",
            "see whether the disk is full; turns wait in memory meanwhile",
        )
