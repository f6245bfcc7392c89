from __future__ import annotations

from voicebot.wyoming_service.stable_words import StableWords


def test_a_word_is_given_once_two_partials_agree_and_it_is_not_the_last() -> None:
    words = StableWords()
    assert [words.feed(text) for text in ("what", "what is", "what is the", "what is the cap")] == [
        "",
        "what",
        " is",
        " the",
    ]
    assert words.finish("what is the capital") == " capital"


def test_nothing_is_taken_back_and_a_contradiction_gives_nothing_more() -> None:
    words = StableWords()
    for text in ("how many days", "how many days are"):
        words.feed(text)
    assert words.feed("cow any days are in") == ""
    assert words.finish("cow any days") == ""


def test_without_partials_all_comes_at_the_end() -> None:
    assert StableWords().finish("how are you") == "how are you"
