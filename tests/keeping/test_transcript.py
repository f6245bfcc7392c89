"""Transcripts: Markdown to read, JSON lines to work with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from conversations import converse, scripted, speech
from test_session_interruptions import REPLY, TurnByTurnAsr
from voicebot.engines.scripted import FailAt, ScriptedLlm
from voicebot.errors import ConfigError, EngineError, OutputError
from voicebot.keeping.transcript import TranscriptEntry, TranscriptFile, check_transcript_path
from voicebot.keeping.transcript_keeper import TranscriptKeeper
from voicebot.terminal.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[[Any], Any]


async def kept(path: Path, *, share: float = 1.0, **options: Any) -> list[Any]:
    """A conversation with an interruption, a typed line and a repeat, kept in ``path``."""
    failures: list[Any] = []
    keeper = TranscriptKeeper(path, on_failure=failures.append)
    stages = scripted(
        asr=TurnByTurnAsr("count", "no wait please"),
        llm=ScriptedLlm({"count": REPLY}, default="fine."),
    )
    talk = await converse(
        [(0.5, speech(1.0)), (3.5, speech(1.2))],
        stages=options.get("stages", stages),
        keys=[(8.0, lambda s: s.answer_text("and now?")), (11.0, lambda s: s.repeat())],
    )
    for event in talk.events[: round(share * len(talk.events))]:
        keeper.observe(event)
    return failures


def test_json_lines(virtual_time: Run, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    assert virtual_time(kept(path)) == []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["user"] for row in rows] == ["count", "no wait please", "and now?", ""]
    assert [row["outcome"] for row in rows] == ["answered"] * 3 + ["repeated"]
    assert [row["typed"] for row in rows] == [False, False, True, False]
    assert f"{rows[0]['bot']} {rows[0]['unheard']}" == REPLY
    assert rows[1]["unheard"] == ""
    assert all(row["voice_to_voice_ms"] > 0 for row in rows)
    assert rows[0]["at"] < rows[1]["at"]


def test_markdown_is_text_that_any_terminal_may_show(tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    escape = "a\x1b]0;title\x07b\x9b2Jc"
    file = TranscriptFile(path, datetime.now(UTC))
    file.append(
        TranscriptEntry(
            "",
            1,
            "answered",
            escape,
            escape,
            "",
            typed=True,
            voice_to_voice_ms=None,
            failure=escape,
        )
    )
    text = path.read_text(encoding="utf-8")
    assert text.count("a ]0;title b 2Jc") == 3
    assert all(line == printable(line) for line in text.splitlines())


def test_letters_that_join_stay_joined() -> None:
    assert printable("क्\u200dष \u202eevil") == "क्\u200dष  evil"


def test_markdown(virtual_time: Run, tmp_path: Path) -> None:
    path = tmp_path / "talk.MD"
    virtual_time(kept(path))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Conversation of ")
    assert "**You:** count  \n**Bot:** one two" in text
    assert "*(interrupted)*" in text
    assert "**You (typed):** and now?  \n**Bot:** fine.\n" in text
    assert "*(said again)*  \n**Bot:** fine." in text


def test_a_conversation_that_breaks_off_keeps_what_was_over(
    virtual_time: Run, tmp_path: Path
) -> None:
    path = tmp_path / "talk.jsonl"
    virtual_time(kept(path, share=0.5))
    assert 1 <= len(path.read_text(encoding="utf-8").splitlines()) < 4


def test_another_conversation_is_added(virtual_time: Run, tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    path.write_text("mine\n", encoding="utf-8")
    virtual_time(kept(path))
    assert path.read_text(encoding="utf-8").startswith("mine\n# Conversation of")


def test_each_save_is_whole_and_each_conversation_has_its_own_file(
    virtual_time: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        keepers = [TranscriptKeeper(None, on_failure=lambda _: None) for _ in range(2)]
        keepers[1]._started_at = keepers[0]._started_at
        talk = await converse([(0.5, speech(1.0))])
        for event in talk.events:
            keepers[0].observe(event)
            keepers[1].observe(event)
        path, other = keepers[0].save(), keepers[1].save()
        assert path is not None
        assert other == path.with_stem(f"{path.stem}-2"), "two that began in the same second"
        whole = path.read_text(encoding="utf-8")
        assert keepers[0].save() == path
        assert path.read_text(encoding="utf-8") == whole

        def refuse(*_: object) -> None:
            raise OutputError("the disk is full")

        monkeypatch.setattr("voicebot.keeping.transcript_keeper.save", refuse)
        with pytest.raises(OutputError):
            keepers[0].save()
        assert path.read_text(encoding="utf-8") == whole, "the save before stays"

    virtual_time(main())
    assert len(list(tmp_path.iterdir())) == 2, "nothing else is left behind"


def test_a_failure_is_in_it(virtual_time: Run, tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    stages = scripted(llm=ScriptedLlm(fail_at=FailAt(1, EngineError("it broke"))))
    virtual_time(kept(path, stages=stages))
    assert "*(it broke)*" in path.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_costs_no_more_than_itself(
    virtual_time: Run, tmp_path: Path
) -> None:
    failures = virtual_time(kept(tmp_path / "gone" / "talk.md"))
    assert len(failures) == 1
    assert "cannot be written" in str(failures[0])


@pytest.mark.parametrize("name", ["talk.txt", "talk", "gone/talk.md"])
def test_a_useless_path_is_found_out_before(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        check_transcript_path(tmp_path / name)
    check_transcript_path(tmp_path / "talk.md")
