from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.written import as_written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("how old is the brooklyn bridge", "How old is the brooklyn bridge?"),
        ("and how many people live there", "And how many people live there?"),
        ("turn off the radio", "Turn off the radio."),
        ("what can i do if i'm late", "What can I do if I'm late?"),
        ("tell me which one i like", "Tell me which one I like."),
        ("are you there?", "Are you there?"),
        ("ok", "Ok."),
        ("  ", ""),
        ("Ja, gerne", "Ja, gerne."),
    ],
)
def test_words_become_a_sentence(said: str, written: str) -> None:
    assert as_written(said) == written


@given(st.text())
def test_it_never_fails_and_doing_it_twice_changes_nothing(said: str) -> None:
    once = as_written(said)
    assert as_written(once) == once
