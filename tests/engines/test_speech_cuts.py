from __future__ import annotations

import pytest

from voicebot.engines.speech_cuts import CutRules, cut_into_stretches


def stretches(text: str, rules: CutRules | None = None) -> list[str]:
    return [text[cut.start : cut.end].strip() for cut in cut_into_stretches(text, rules)]


def goes_on(text: str, rules: CutRules | None = None) -> list[bool]:
    return [cut.goes_on for cut in cut_into_stretches(text, rules)]


def test_a_short_clause_is_one_stretch() -> None:
    assert stretches("The capital of France is Paris.") == ["The capital of France is Paris."]
    assert goes_on("The best way to learn") == [False]


def test_cuts_at_punctuation_first() -> None:
    text = "Rivers carry water to the sea, and the sea gives it back to the clouds. So it goes on."
    assert stretches(text) == [
        "Rivers carry water to the sea,",
        "and the sea gives it back to the clouds.",
        "So it goes on.",
    ]
    assert goes_on(text) == [False, False, False]


def test_else_before_a_word_that_opens_a_phrase() -> None:
    text = (
        "The longest of the rivers of Europe flows through eleven countries before it reaches the "
        "delta of its own"
    )
    first, second = stretches(text)
    assert first == "The longest of the rivers of Europe flows"
    assert second.startswith("through eleven countries before")
    assert goes_on(text) == [True, False]
    german = (
        "Die Brücke wurde vor vielen Jahren erbaut weil der alte Weg über den Fluss so schwer "
        "war und lange dauerte"
    )
    assert stretches(german)[1].startswith("weil der alte Weg")


@pytest.mark.parametrize(
    "text", ["He met Dr. Miller and Mrs. Smith at the office of the U.S. firm."]
)
def test_an_abbreviation_is_no_pause(text: str) -> None:
    assert all(not part.endswith(("Dr.", "Mrs.", "U.S.")) for part in stretches(text, CutRules(8)))


def test_no_stretch_is_longer_than_allowed() -> None:
    rules = CutRules(shortest=10, first_longest=30, longest=50)
    for text in ("word " * 100, "a" * 500, "一二三四五六七八九十" * 20, "x, " * 100):
        cuts = list(cut_into_stretches(text, rules))
        assert cuts[0].end - cuts[0].start <= 30 + 10
        assert all(cut.end - cut.start <= 50 + 10 for cut in cuts)
        joined = "".join(text[cut.start : cut.end] for cut in cuts)
        assert joined.replace(" ", "") == text.replace(" ", "")


def test_a_stretch_is_at_most_twice_as_long_as_the_one_before() -> None:
    rules = CutRules(shortest=10, first_longest=20, longest=200)
    lengths = [cut.end - cut.start for cut in cut_into_stretches("word " * 100, rules)]
    assert lengths[:4] == [20, 40, 80, 160]


@pytest.mark.parametrize("text", ["", "   ", "...", "?! —", ", , ,"])
def test_nothing_to_say(text: str) -> None:
    assert stretches(text) == []
