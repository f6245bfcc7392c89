from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.normalise import normalise_words, same_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's WELL-known; $5!", ["it's", "well", "known", "five", "dollars"]),
        ("Don’t “stop”", ["don't", "stop"]),  # noqa: RUF001 - typographic quotes
        ("In 1883", ["in", "eighteen", "eighty", "three"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_in_one_form(text: str, words: list[str]) -> None:
    assert normalise_words(text) == words


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("de", "Über 21 Straßen, ja!", ["über", "einundzwanzig", "straßen", "ja"]),
        ("de", "U\u0308ber 3,5 %", ["über", "drei", "komma", "fünf", "prozent"]),
        ("es", "¿Qué? ¡21 años!", ["qué", "veintiún", "años"]),
        ("fr", "D’accord, l'été a 93 jours.",  # noqa: RUF001 - a typographic apostrophe
         ["d'accord", "l'été", "a", "quatre", "vingt", "treize", "jours"]),
    ],
)  # fmt: skip
def test_each_language_keeps_its_letters_and_has_its_numbers(
    language: str, text: str, words: list[str]
) -> None:
    assert normalise_words(text, language) == words
    assert same_words(text, " ".join(words), language)


def test_same_words() -> None:
    assert same_words("Twenty-two, please.", "22 please")
    assert not same_words("twenty two", "twenty three")


@given(st.text(alphabet="abc ABC'-.,!?", max_size=60))
def test_normalised_words_stay(text: str) -> None:
    words = normalise_words(text)
    assert normalise_words(" ".join(words)) == words
