from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.engines.hypothesis import GateLimits, Hypothesis, judge, without_loops

LIMITS = GateLimits()


def believed(text: str, *, speech_s: float = 3.0, sure: float = -0.3, silent: float = 0.1) -> str:
    hypothesis = Hypothesis(text, mean_log_probability=sure, no_speech_probability=silent)
    return judge(hypothesis, speech_s=speech_s, limits=LIMITS).text


def test_speech_is_believed() -> None:
    assert believed("What is the capital of France?") == "What is the capital of France?"


def test_unsure_words_of_audio_that_sounds_silent_to_the_model_are_not() -> None:
    assert believed("Thanks for watching!", sure=-1.2, silent=0.8) == ""
    assert believed("Thanks for watching!", sure=-0.3, silent=0.8) != ""
    assert believed("What is that thing?", sure=-1.2, silent=0.1) != ""


@pytest.mark.parametrize("text", ["", " . ", "[BLANK_AUDIO]", "(music)", "♪♪", "*sighs*", "..."])
def test_sounds_are_no_words(text: str) -> None:
    assert believed(text) == ""


def test_a_note_beside_words_is_taken_out() -> None:
    assert believed("[coughs] turn it (laughs) off") == "turn it off"


def test_a_loop_is_said_once() -> None:
    hypothesis = Hypothesis("I see. " + "and then we went home " * 12 + "and then")
    judgement = judge(hypothesis, speech_s=2.0, limits=LIMITS)
    assert judgement.is_repetitive
    assert judgement.text == "I see. and then we went home"


def test_more_words_than_anybody_can_say_are_nobodys() -> None:
    words = "pack my box with five dozen jugs of wine then go home by the old road and be quiet"
    assert believed(words, speech_s=1.0) == ""
    assert believed(words, speech_s=6.0) == words


@pytest.mark.parametrize("text", ["no no no no", "seven seven seven seven three", "bye bye"])
def test_people_may_repeat_themselves(text: str) -> None:
    assert believed(text, speech_s=2.0) == text


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "No,", "no"]), max_size=40))
def test_cutting_loops_ends_and_leaves_none_at_the_start(words: list[str]) -> None:
    shorter = without_loops(" ".join(words)).split()
    assert len(shorter) <= len(words)
    assert shorter[:1] == words[:1]
    keys = [word.casefold().strip(",") for word in shorter]
    assert not (len(keys) > 2 and keys[0] == keys[1] == keys[2])
