"""Keys from bytes, a line that is typed, and the key to talk."""

from __future__ import annotations

import pytest

from voicebot.terminal.keys import (
    Key,
    KeyDecoder,
    LineEditor,
    Paste,
    Press,
    PushToTalk,
    TalkAction,
    is_burst,
)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a", ["a"]),
        (b"\r", [Key.ENTER]),
        (b"\n", [Key.ENTER]),
        (b"\x7f\x08", [Key.BACKSPACE, Key.BACKSPACE]),
        (b"\x15\x17\x04", [Key.CLEAR, Key.CLEAR_WORD, Key.END]),
        (b"\t", [" "]),
        (b"\x00\x01", []),
        ("é€😀".encode(), ["é", "€", "😀"]),
        (b"\xff", ["�"]),
        (b"\x1b[A\x1b[1;5C\x1bOPx", ["x"]),
        (b"m\x1b[200~quit\r\nq\x1b[2J\x1b[201~q", ["m", Paste("quit  q[2J"), "q"]),
        (b"\x1b[200~\x1b[201~", []),
        (b"\x1bx", []),
        (b"\x1b\x1b[Aq", [Key.ESCAPE, "q"]),
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_bytes_become_keys(data: bytes, keys: list[Press], is_split: bool) -> None:
    decoder = KeyDecoder()
    pieces = [data[index : index + 1] for index in range(len(data))] if is_split else [data]
    assert [key for piece in pieces for key in decoder.feed(piece)] == keys
    assert not decoder.is_waiting


def test_a_lone_escape_waits_for_what_may_follow() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"a\x1b") == ["a"]
    assert decoder.is_waiting
    assert decoder.flush() == [Key.ESCAPE]
    assert not decoder.is_waiting
    decoder.feed(b"\x1b[")
    assert decoder.flush() == [], "half a sequence is no key"


def typed(*keys: Press) -> tuple[str | None, list[str]]:
    editor = LineEditor()
    editor.begin()
    lines = [editor.press(key) for key in keys]
    return editor.line, [line for line in lines if line is not None]


def test_a_line_is_typed_and_sent() -> None:
    assert typed(*"hi ", *"there", Key.ENTER) == (None, ["hi there"])
    assert typed(*"hi", Key.BACKSPACE) == ("h", [])
    assert typed(Key.BACKSPACE) == ("", [])
    assert typed(*"one two ", Key.CLEAR_WORD) == ("one ", [])
    assert typed(*"one", Key.CLEAR_WORD) == ("", [])
    assert typed(*"one two", Key.CLEAR) == ("", [])
    assert typed(*"one", Key.ESCAPE) == (None, [])
    assert typed(Key.ENTER) == (None, [""])


def test_a_paste_goes_on_until_its_end() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b[200~one q") == []
    assert not decoder.is_waiting, "no pause ends it"
    assert decoder.flush() == []
    assert decoder.feed(b" two\x1b[201~") == [Paste("one q two")]
    assert typed("a", Paste(" b "), "c") == ("a b c", [])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([*"quiet"], True),
        (["a", Key.ENTER, "q"], True),
        ([*"    "], False),
        (["q"], False),
        (["t", Key.BACKSPACE, "m"], False),
        ([Key.ENTER, Key.ENTER], False),
        ([Key.ESCAPE, "q"], False),
    ],
)
def test_characters_that_come_at_once_are_a_paste(keys: list[Press], expected: bool) -> None:
    assert is_burst(keys) is expected


def test_a_held_key_talks_until_it_is_let_go() -> None:
    talk = PushToTalk()
    assert talk.press(0.0) is TalkAction.OPEN
    assert talk.tick(0.4) is None, "the first repeat comes late"
    for index in range(40):
        assert talk.press(0.5 + index * 0.033) is None
        assert talk.tick(0.51 + index * 0.033) is None
    last_s = 0.5 + 39 * 0.033
    assert talk.tick(last_s + 0.2) is None
    assert talk.tick(last_s + 0.26) is TalkAction.SHUT
    assert not talk.is_open
    assert talk.tick(last_s + 9) is None


def test_a_tapped_key_talks_until_it_is_tapped_again() -> None:
    talk = PushToTalk()
    assert talk.press(0.0) is TalkAction.OPEN
    assert talk.tick(5.0) is None
    assert talk.is_open
    assert talk.press(6.0) is TalkAction.SHUT
    assert talk.press(7.0) is TalkAction.OPEN


def test_a_command_toggles() -> None:
    talk = PushToTalk()
    assert talk.toggle(1.0) is TalkAction.OPEN
    assert talk.toggle(1.1) is TalkAction.SHUT
    assert not talk.is_open
