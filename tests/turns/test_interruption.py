"""Is it an interruption?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.turns.interruption import (
    InterruptionRules,
    Intrusion,
    Verdict,
    is_acknowledgement,
    judge,
)

RULES = InterruptionRules()
INTRUSIONS = st.builds(
    Intrusion,
    speech_ms=st.floats(0, 5000),
    words=st.sampled_from(["", "okay", "yeah right", "wait", "tell me more", "..."]),
    is_over=st.booleans(),
)


@pytest.mark.parametrize(
    "text", ["mm-hm", "Okay.", "right", "yeah", "Yes, yes.", "uh-huh", "I see", "oh okay got it"]
)
def test_acknowledgements(text: str) -> None:
    assert is_acknowledgement(text)


@pytest.mark.parametrize(
    "text",
    ["", "no", "stop", "wait", "okay stop", "yes but why", "what", "right right right right right"],
)
def test_what_is_none(text: str) -> None:
    assert not is_acknowledgement(text)


@pytest.mark.parametrize(
    ("language", "text", "acknowledges"),
    [
        *(("de", text, True) for text in ("Mhm.", "ja, genau", "ach so okay", "na klar")),
        *(("de", text, False) for text in ("stopp", "ja aber", "nein", "warte", "claro", "")),
        *(("es", text, True) for text in ("sí", "vale, vale", "de acuerdo", "claro que sí")),
        *(("es", text, False) for text in ("no", "espera", "sí pero", "para", "genau")),
        *(("fr", text, True) for text in ("d'accord", "C'est ça.", "tout à fait", "oui oui")),
        *(("fr", text, False) for text in ("non", "attends", "oui mais", "arrête", "yeah")),
    ],
)
def test_acknowledgements_of_other_languages(
    *, language: str, text: str, acknowledges: bool
) -> None:
    assert is_acknowledgement(text, language) is acknowledges
    rules = InterruptionRules(language=language)
    verdict = judge(Intrusion(300, text, is_over=True), rules)
    assert (verdict is Verdict.GO_ON) is (acknowledges or not text)


@given(INTRUSIONS)
def test_what_is_over_is_decided(intrusion: Intrusion) -> None:
    assert (judge(intrusion, RULES) is Verdict.HOLD) <= (not intrusion.is_over)


@given(INTRUSIONS)
def test_nobody_is_talked_over_who_says_something_else_or_much(intrusion: Intrusion) -> None:
    is_word = intrusion.words == "wait" and intrusion.is_over  # before, it is but a guess
    says_something = is_word or intrusion.words == "tell me more"
    if says_something or intrusion.speech_ms > RULES.acknowledgement_max_ms:
        assert judge(intrusion, RULES) is Verdict.YIELD
    else:
        assert judge(intrusion, RULES) is not Verdict.YIELD


@pytest.mark.parametrize("guess", ["the", "build", "look", "but the"])
def test_a_first_guess_is_waited_out(guess: str) -> None:
    assert judge(Intrusion(300, guess), RULES) is Verdict.HOLD
    assert judge(Intrusion(450, "okay", is_over=True), RULES) is Verdict.GO_ON
    assert judge(Intrusion(450, guess, is_over=True), RULES) is Verdict.YIELD


@given(INTRUSIONS, st.floats(0, 5000))
def test_more_speech_never_takes_a_yield_back(intrusion: Intrusion, more_ms: float) -> None:
    longer = replace(intrusion, speech_ms=intrusion.speech_ms + more_ms)
    if judge(intrusion, RULES) is Verdict.YIELD:
        assert judge(longer, RULES) is Verdict.YIELD


def test_an_acknowledgement_answers_a_question() -> None:
    assert judge(Intrusion(300, "yes", is_asked=True, is_over=True), RULES) is Verdict.YIELD
    assert judge(Intrusion(300, "", is_asked=True, is_over=True), RULES) is Verdict.GO_ON
    assert judge(Intrusion(300, "yes", is_over=True), RULES) is Verdict.GO_ON
