from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.clauses import ClauseSplitter

TEXTS = st.text(alphabet="ab A.B,;:!?…—-\"'()[]`*\n 0123$。！é", max_size=120)  # noqa: RUF001


def split(text: str, cuts: list[int] | None = None, **options: int) -> list[str]:
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


@given(TEXTS, st.lists(st.integers(0, 120), max_size=8))
def test_pieces_make_no_difference(text: str, cuts: list[int]) -> None:
    assert split(text, [min(cut, len(text)) for cut in cuts]) == split(text, list(range(len(text))))


@given(TEXTS, st.integers(5, 40))
def test_nothing_is_lost_and_no_clause_is_empty_or_endless(text: str, longest: int) -> None:
    clauses = split(text, max_clause_characters=longest)
    assert "".join("".join(clauses).split()) == "".join(text.split())
    assert all(clause == clause.strip() and 0 < len(clause) <= longest for clause in clauses)
