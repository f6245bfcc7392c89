from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from voicebot.errors import OutputError
from voicebot.mqtt.outbox import Outbox, OutboxCounts

if TYPE_CHECKING:
    from pathlib import Path


def test_turns_come_out_in_the_order_they_went_in(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "new" / "outbox.sqlite", max_turns=100)
    for number in range(10):
        outbox.put(f"turn {number}")
    assert [turn.body for turn in outbox.first(3)] == ["turn 0", "turn 1", "turn 2"]
    outbox.remove(outbox.first(1)[0].sequence)
    assert [turn.sequence for turn in outbox.first(2)] == [2, 3]
    outbox.close()


def test_the_oldest_go_when_there_are_too_many_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, max_turns=3)
    for number in range(8):
        outbox.put(f"turn {number}")
    assert [turn.body for turn in outbox.first(9)] == ["turn 5", "turn 6", "turn 7"]
    outbox.close()
    again = Outbox(path, max_turns=3)
    assert again.counts() == OutboxCounts(waiting=3, dropped=5)
    again.close()


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, max_turns=10)
    outbox.put("one")
    outbox.remove(1)
    stream = outbox.stream
    outbox.close()
    again = Outbox(path, max_turns=10)
    again.put("two")
    assert again.stream == stream
    assert again.first(1)[0].sequence == 2
    again.close()


@pytest.mark.parametrize(
    "content", [b"no database at all " * 100, b"SQLite format 3\0" + b"x" * 900]
)
def test_a_damaged_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(content)
    outbox = Outbox(path, max_turns=10)
    outbox.put("a turn")
    assert outbox.was_damaged
    assert outbox.counts().waiting == 1
    assert path.with_name("outbox.sqlite.damaged").read_bytes() == content
    outbox.close()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"mqtt\.outbox_file"):
        Outbox(tmp_path / "file" / "outbox.sqlite", max_turns=10)


def test_a_full_disk_is_told_and_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, max_turns=10)
    outbox.put("kept")
    pages = outbox._database.execute("PRAGMA page_count").fetchone()[0]
    outbox._database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own full disk
    with pytest.raises(OutputError, match="disk is full"):
        outbox.put("x" * 100_000)
    assert [turn.body for turn in outbox.first(5)] == ["kept"]
    outbox._database.execute("PRAGMA max_page_count = 1000000")
    outbox.put("later")
    outbox.close()
    with sqlite3.connect(path) as database:
        bodies = database.execute("SELECT body FROM turns ORDER BY sequence").fetchall()
    database.close()
    assert bodies == [("kept",), ("later",)]
