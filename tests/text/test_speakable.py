from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.speakable import heard_prefix, speakable, speakable_with_spans

CASES = [
    ("It opened in 1883.", "It opened in eighteen eighty-three."),
    ("1883.", "eighteen eighty-three."),
    ("about 140 years", "about one hundred forty years"),
    ("**Bold** and *it* `code` [link](http://x.y/z)", "Bold and it code link"),
    ("**unclosed bold", "unclosed bold"),
    ("# Heading", "Heading"),
    ("- item", "item"),
    ("1. Eat", "one. Eat"),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b, one, two,"),
    ("```python\nx\n```", "x"),
    ("<b>hi</b> &amp; you", "hi and you"),
    (
        "$3.50 or €5 or £2.01",
        "three dollars and fifty cents or five euros or two pounds and one penny",
    ),
    ("$3.5 million", "three point five million dollars"),
    ("50% of it", "fifty percent of it"),
    ("10-20 km/h", "ten to twenty kilometers per hour"),
    ("25 °C, 5 m², 16 GB", "twenty-five degrees Celsius, five square meters, sixteen gigabytes"),
    ("1 km in 30ms", "one kilometer in thirty milliseconds"),
    ("at 10:30 pm", "at ten thirty p m"),
    ("at 5 p.m.", "at five p m."),
    ("10:05 or 10:00", "ten oh five or ten o'clock"),
    ("2024-05-17", "May seventeenth twenty twenty-four"),
    ("555-1234", "five five five one two three four"),
    ("007", "zero zero seven"),
    ("Dr. Smith vs. Mr. X", "Doctor Smith versus Mister X"),
    ("e.g. pears, etc.", "for example pears, et cetera."),
    ("2 + 2 = 4", "two plus two equals four"),
    ("2*3*4", "two times three times four"),
    ("5 - 3", "five minus three"),
    ("1/2 or 3/4", "one half or three quarters"),
    ("the 1st and 21st", "the first and twenty-first"),
    ("the 1980s", "the nineteen eighties"),
    ("1939–1945", "nineteen thirty-nine to nineteen forty-five"),  # noqa: RUF001 - a range's dash
    ("World War II, Henry VIII", "World War two, Henry the eighth"),
    ("NASA & I", "NASA and I"),
    ("see https://www.a.com/b1.", "see a dot com slash b one."),
    ("me@x.org", "me at x dot org"),
    ("-5 degrees", "minus five degrees"),
    ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
    ("3.14", "three point one four"),
    ("#1 ~5", "number one about five"),
    ("word — word", "word, word"),
    ("well-known", "well-known"),
    ("😀 hi 🎉", "hi"),
    ("***", ""),
    ("—", ""),
    ("", ""),
    ("😀", ""),
]
MODEL_TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("*_`#[]()<>&|~\\-+=:;,.!?'\"$€%°/@^ \n\t\r\0²😀👍🏽—’…0123456789abIVXsmk"),  # noqa: RUF001
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_reads_english(text: str, expected: str) -> None:
    assert speakable(text) == expected


@pytest.mark.parametrize("text", [expected for _, expected in CASES])
def test_what_is_speakable_stays(text: str) -> None:
    assert speakable(text) == text


def test_other_languages_get_their_own_numbers() -> None:
    assert speakable("Es kostet **3,5** Euro 😀", "de") == "Es kostet drei Komma fünf Euro"
    assert speakable("In 1.234 Tagen", "de-DE") == "In eintausendzweihundertvierunddreißig Tagen"
    assert speakable("abc 42", "xx") == "abc 42"


@given(MODEL_TEXT, st.sampled_from(["en", "de", "ja"]))
def test_never_raises_and_leaves_no_signs(text: str, language: str) -> None:
    spoken = speakable(text, language)
    assert not re.search(r"[*_`#|~<>\[\]{}\\\n\t]", spoken)
    assert all(unicodedata.category(character)[0] not in "SC" for character in spoken)
    assert spoken == " ".join(spoken.split())
    assert not spoken or any(character.isalnum() for character in spoken)


@given(MODEL_TEXT)
def test_spans_are_in_order_and_within(text: str) -> None:
    spoken = speakable_with_spans(text)
    for span in spoken.spans:
        assert 0 <= span.spoken_start < span.spoken_end <= len(spoken.text)
        assert 0 <= span.start < span.end <= len(text)
    for first, second in pairwise(spoken.spans):
        assert first.spoken_end <= second.spoken_start
        assert first.start <= second.start
        assert first.end <= second.end


@given(MODEL_TEXT)
def test_heard_prefix_grows_to_the_whole(text: str) -> None:
    spoken = speakable_with_spans(text)
    prefixes = [heard_prefix(spoken, end) for end in range(len(spoken.text) + 1)]
    assert prefixes[-1] == text
    for first, second in pairwise(prefixes):
        assert second.startswith(first)


def test_heard_prefix_is_in_the_models_words() -> None:
    spoken = speakable_with_spans("**Hello**, it opened in 1883, I think.")
    assert heard_prefix(spoken, 0) == ""
    assert heard_prefix(spoken, len("Hello")) == "**Hello**,"
    assert heard_prefix(spoken, spoken.text.index("eighty")) == "**Hello**, it opened in"
    assert heard_prefix(spoken, spoken.text.index(", I")) == "**Hello**, it opened in 1883,"
