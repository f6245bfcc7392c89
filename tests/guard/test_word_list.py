"""Words looked for as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.errors import KnowledgeError
from voicebot.guard.word_list import WordList, plain_words, read_word_list

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What a Damn, nuisance!", "damn"),
        ("damnation", None),
        ("the RIVAL  museum is better", "rival museum"),
        ("a rival's museum", None),
        ("elections, elected", "elections"),
        ("you 1d10t", "idiot"),
        ("Ärger über Bücher", "bucher"),
        ("can't say", "cant say"),
        ("", None),
        ("room 101", None),
    ],
)
def test_whole_words_are_found_however_they_are_written(text: str, found: str | None) -> None:
    words = WordList(["damn", "Rival Museum", "elect*", "idiot", "Bücher", "can't say"])
    assert words.find(text) == found


def test_an_empty_list_finds_nothing() -> None:
    assert WordList([]).find("anything") is None
    assert WordList(["", " ", "*", "..."]).find("anything at all ...") is None


@given(st.text(), st.text())
def test_no_phrase_or_text_breaks_it(phrase: str, text: str) -> None:
    words = WordList([phrase])
    words.find(text)
    if plain_words(phrase):
        assert words.find(f"before {phrase} behind") is not None


def test_a_file_holds_a_phrase_a_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# a comment\nfirst thing\n\nsecond\n", encoding="utf-8")
    words = read_word_list(path)
    assert words.find("the second") == "second"
    assert words.find("a comment") is None
    path.write_bytes(b"caf\xe9")
    with pytest.raises(KnowledgeError, match="UTF-8"):
        read_word_list(path)
    with pytest.raises(KnowledgeError, match="No such file"):
        read_word_list(tmp_path / "none")
