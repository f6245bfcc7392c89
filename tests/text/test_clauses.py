from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.clauses import ClauseSplitter

TEXTS = st.text(alphabet="ab A.B,;:!?¿«»„“X…—-\"'()[]`*\n 0123$。！é", max_size=120)  # noqa: RUF001


def split(text: str, cuts: list[int] | None = None, **options: Any) -> list[str]:
    splitter = ClauseSplitter(**options)
    edges = [0, *sorted(cuts or []), len(text)]
    clauses = []
    for start, end in pairwise(edges):
        clauses += splitter.feed(text[start:end])
    return clauses + splitter.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure, I can help.", ["Sure,", "I can help."]),
        ("The bridge opened in May.", ["The bridge opened", "in May."]),
        ("Go in now.", ["Go in now."]),
        ("The capital of Italy is Rome.", ["The capital of Italy", "is Rome."]),
        ("The old ones were good.", ["The old ones were good."]),
        ("Ok. The capital of Italy is Rome.", ["Ok.", "The capital of Italy is Rome."]),
        ("It is 3.5 km. Yes.", ["It is 3.5 km.", "Yes."]),
        ("Ask Dr. Smith today. Now.", ["Ask Dr. Smith today.", "Now."]),
        ("The U.S. team won. J. Doe left.", ["The U.S. team won.", "J. Doe left."]),
        ("It was 5 p.m. He left.", ["It was 5 p.m.", "He left."]),
        ("Fruit, e.g. pears.", ["Fruit,", "e.g. pears."]),
        ("Pay $1,234 to me. Ok.", ["Pay $1,234 to me.", "Ok."]),
        ("Be here 10:30 sharp.", ["Be here 10:30 sharp."]),
        ("See http://a.b/c?d=1,2 now.", ["See http://a.b/c?d=1,2 now."]),
        ('"Stop!" he said (really.) Then.', ['"Stop!"', "he said (really.)", "Then."]),
        ("Well... maybe not.", ["Well... maybe not."]),
        ("1. Eat.\n2. Drink.\n", ["1. Eat.", "2. Drink."]),
        ("見て。「本当！」それは？はい", ["見て。", "「本当！」", "それは？", "はい"]),  # noqa: RUF001
        ("Read [this, or that](u) today.", ["Read [this, or that](u) today."]),
    ],
)
def test_cuts_at_natural_places(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Die Hauptstadt von Italien ist Rom.", ["Die Hauptstadt von Italien", "ist Rom."]),
        ("de", "Das geht so nicht weil es regnet.", ["Das geht so nicht", "weil es regnet."]),
        ("de", "Ich mache das Radio aus und gehe.", ["Ich mache das Radio aus", "und gehe."]),
        ("de", "Das sind z. B. Äpfel. Gut.", ["Das sind z. B. Äpfel.", "Gut."]),
        ("de", "Am 3. Oktober 1990. Danach.", ["Am 3. Oktober 1990.", "Danach."]),
        ("de", "Ludwig XIV. war alt. Ja.", ["Ludwig XIV. war alt.", "Ja."]),
        ("de", "„Stopp!“ sagte er. »Gut!« Ja.", ["„Stopp!“", "sagte er.", "»Gut!«", "Ja."]),
        ("de", "Es kostet 3,50 Euro. Ja.", ["Es kostet 3,50 Euro.", "Ja."]),
        ("es", "La capital de Italia es Roma.", ["La capital de Italia", "es Roma."]),
        ("es", "No lo sé porque es así.", ["No lo sé", "porque es así."]),
        ("es", "¿Cómo estás? ¡Bien! Gracias.", ["¿Cómo estás?", "¡Bien!", "Gracias."]),
        ("es", "En EE. UU. hay, p. ej. uno.", ["En EE. UU. hay,", "p. ej. uno."]),
        ("fr", "La capitale de l'Italie est Rome.", ["La capitale de l'Italie", "est Rome."]),
        ("fr", "Je ne sais pas parce que non.", ["Je ne sais pas", "parce que non."]),
        ("fr", "Comment ça va ? Bien ! Oui.", ["Comment ça va ?", "Bien !", "Oui."]),
        ("fr", "Ça va\u00a0? Bien\u202f! Oui.", ["Ça va\u00a0?", "Bien\u202f!", "Oui."]),
        ("fr", "Voici la liste : des pommes.", ["Voici la liste :", "des pommes."]),
        ("en", "It is 324 m. It is old.", ["It is 324 m.", "It is old."]),
        ("es", "Son las 14:30 h. Adiós.", ["Son las 14:30 h.", "Adiós."]),
        ("es", "A las 10:30 p. m. es tarde.", ["A las 10:30 p. m.", "es tarde."]),
        ("fr", "M. Petit est né. Oui.", ["M. Petit est né.", "Oui."]),
    ],
)
def test_cuts_at_natural_places_of_other_languages(
    language: str, text: str, expected: list[str]
) -> None:
    assert split(text, language=language) == expected


def test_full_stop_waits_for_what_follows() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("It is 3.") == []
    assert splitter.feed("5 today.") == []
    assert splitter.feed(" ") == ["It is 3.5 today."]


def test_later_clauses_end_at_commas_only_when_long() -> None:
    later = "Hi. One, two, three, and then a good deal more of this sentence here, and on it goes."
    assert split(later) == [
        "Hi.",
        "One, two, three, and then a good deal more of this sentence here,",
        "and on it goes.",
    ]


def test_flush_begins_a_new_reply() -> None:
    splitter = ClauseSplitter()
    splitter.feed("Hello. This is")
    assert splitter.flush() == ["This is"]
    assert splitter.feed("Sure, then") == ["Sure,"]


@pytest.mark.parametrize(
    ("text", "dropped", "rest"),
    [
        ("One two thr", "thr", ["One two"]),
        ("One two three ", "", ["One two three"]),
        ("One two three,", "", ["One two three,"]),
        ("One two.", "", ["One two."]),
        ("Yes. Tw", "Tw", []),
        ("Thr", "", ["Thr"]),
        ("", "", []),
    ],
)
def test_an_unfinished_word_is_dropped(text: str, dropped: str, rest: list[str]) -> None:
    splitter = ClauseSplitter()
    clauses = splitter.feed(text)
    assert splitter.drop_unfinished_word() == dropped
    assert [*clauses, *splitter.flush()] == (["Yes."] if "Yes" in text else []) + rest


@given(TEXTS, st.lists(st.integers(0, 120), max_size=8), st.sampled_from(["en", "de", "es", "fr"]))
def test_pieces_make_no_difference(text: str, cuts: list[int], language: str) -> None:
    in_pieces = split(text, [min(cut, len(text)) for cut in cuts], language=language)
    assert in_pieces == split(text, list(range(len(text))), language=language)


@given(TEXTS, st.integers(5, 40), st.sampled_from(["en", "de", "es", "fr"]))
def test_nothing_is_lost_and_no_clause_is_empty_or_endless(
    text: str, longest: int, language: str
) -> None:
    clauses = split(text, max_clause_characters=longest, language=language)
    assert "".join("".join(clauses).split()) == "".join(text.split())
    assert all(clause == clause.strip() and 0 < len(clause) <= longest for clause in clauses)
