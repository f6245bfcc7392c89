from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.engines.local_agreement import LocalAgreement, same_word


def test_words_settle_once_two_decodings_agree_but_never_the_last_one() -> None:
    agreement = LocalAgreement()
    agreement.update(["how"])
    assert agreement.settled == ()
    agreement.update(["how", "old"])
    assert agreement.settled == ()
    agreement.update(["how", "old", "is"])
    assert agreement.settled == ("how",)
    agreement.update(["how", "cold", "is", "it"])
    assert agreement.settled == ("how",)
    agreement.update(["how", "cold", "is", "it", "there"])
    assert agreement.settled == ("how", "cold", "is")
    assert agreement.words == ("how", "cold", "is", "it", "there")


def test_what_has_settled_stays_whatever_comes() -> None:
    agreement = LocalAgreement()
    for words in (["a", "b", "c"], ["a", "b", "c", "d"], ["x", "y", "z", "d", "e"]):
        agreement.update(words)
    assert agreement.words == ("a", "b", "z", "d", "e")
    agreement.update([])
    assert agreement.words == ("a", "b")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("old", "Old?", True),
        ("don't", "don't.", True),
        ("don't", "dont", False),
        ("?", "!", False),
        ("«ja»", "ja", True),
    ],
)
def test_case_and_marks_make_no_other_word(one: str, other: str, same: bool) -> None:
    assert same_word(one, other) is same


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=8))
def test_settled_words_only_grow(decodings: list[list[str]]) -> None:
    agreement = LocalAgreement()
    before: tuple[str, ...] = ()
    for words in decodings:
        agreement.update(words)
        assert agreement.settled[: len(before)] == before
        assert agreement.words[: len(agreement.settled)] == agreement.settled
        before = agreement.settled


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=8))
def test_a_steady_decoder_settles_all_but_the_last_word(words: list[str]) -> None:
    agreement = LocalAgreement()
    agreement.update(words)
    agreement.update(words)
    assert agreement.settled == tuple(words[:-1])
    agreement.reset()
    assert agreement.words == ()
