# ruff: noqa: RUF001 - phonemes
from __future__ import annotations

from voicebot.engines.spoken_words import estimated_lengths, phoneme_index_of_words, word_spans


def heads(words: list[str], spoken: str) -> list[str]:
    """What follows from where each word is said to begin."""
    found = phoneme_index_of_words([list(word) for word in words], list(spoken))
    return [spoken[index:] for index in found]


def test_words_stand_between_spaces_without_punctuation() -> None:
    text = '"Well-known," he said (twice) — 2!'
    spans = word_spans(text, 0, len(text))
    assert [text[a:b] for a, b in spans] == ["Well-known", "he", "said", "twice", "2"]
    assert word_spans(text, 12, 17) == [(14, 16)]


def test_one_word_each() -> None:
    assert heads(["ðə", "bˈɛst", "wˈeɪ"], "ðə bˈɛst wˈeɪ.") == [
        "ðə bˈɛst wˈeɪ.",
        "bˈɛst wˈeɪ.",
        "wˈeɪ.",
    ]


def test_stress_belongs_to_the_word_it_begins() -> None:
    assert heads(["ðə", "ˈɛnd"], "ðɪ ˈɛnd")[1] == "ˈɛnd"


def test_words_run_together_begin_within() -> None:
    assert heads(["ʌv", "ðə", "pˈiːpəl"], "ʌvðə pˈiːpəl") == [
        "ʌvðə pˈiːpəl",
        "ðə pˈiːpəl",
        "pˈiːpəl",
    ]


def test_a_word_said_as_several() -> None:
    spoken = "ɪn ˈeɪɾi θɹˈiː nˈaʊ"
    assert heads(["ɪn", "ˈeɪɾi θɹˈiː", "nˈaʊ"], spoken)[1:] == ["ˈeɪɾi θɹˈiː nˈaʊ", "nˈaʊ"]


def test_a_word_sounds_otherwise_among_others() -> None:
    assert heads(["ˈæz", "ˈɪt", "wˈɒz"], "æz ɪt wʌz")[1:] == ["ɪt wʌz", "wʌz"]


def test_words_without_sounds_keep_the_order() -> None:
    found = phoneme_index_of_words([list("a"), [], list("b")], list("a b"))
    assert found == sorted(found)
    assert phoneme_index_of_words([list("a")], list(" .")) == []
    assert phoneme_index_of_words([], list("a")) == []


def test_estimates_count_sounds() -> None:
    lengths = estimated_lengths(list("ˈaː b,"))
    assert lengths[0] == 0
    assert lengths[1] == lengths[4] == 1
    assert lengths[2] < 1 < lengths[5]
