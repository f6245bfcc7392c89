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
    ],
)
def test_words_become_a_sentence(said: str, written: str) -> None:
    assert as_written(said) == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("de", "wie spät ist es", "Wie spät ist es?"),
        ("de", "und in welcher stadt bin ich", "Und in welcher stadt bin ich?"),
        ("de", "kannst du das radio ausmachen", "Kannst du das radio ausmachen?"),
        ("de", "mach das radio aus", "Mach das radio aus."),
        ("de", "Ja, gerne", "Ja, gerne."),
        ("es", "qué hora es", "¿Qué hora es?"),
        ("es", "y en qué ciudad estoy", "¿Y en qué ciudad estoy?"),
        ("es", "puedes apagar la luz", "¿Puedes apagar la luz?"),
        ("es", "apaga la luz", "Apaga la luz."),
        ("es", "¿Qué hora es?", "¿Qué hora es?"),
        ("fr", "quelle heure est-il", "Quelle heure est-il ?"),
        ("fr", "qu'est-ce que c'est", "Qu'est-ce que c'est ?"),
        ("fr", "à quelle heure part le train", "À quelle heure part le train ?"),
        ("fr", "peux-tu éteindre la lumière", "Peux-tu éteindre la lumière ?"),
        ("fr", "c'est quoi", "C'est quoi ?"),
        ("fr", "éteins la lumière", "Éteins la lumière."),
        ("fr", "i love", "I love."),
        ("de", "i", "I."),
    ],
)
def test_each_language_has_its_questions(language: str, said: str, written: str) -> None:
    assert as_written(said, language) == written


@given(st.text(), st.sampled_from(["en", "de", "es", "fr"]))
def test_it_never_fails_and_doing_it_twice_changes_nothing(said: str, language: str) -> None:
    once = as_written(said, language)
    assert as_written(once, language) == once
