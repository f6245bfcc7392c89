"""Speech over a bot that finishes its sentence or its reply, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conversations import RATE_HZ, Conversation, converse, scripted, speech, tone
from test_session_interruptions import TurnByTurnAsr
from voicebot.engines.scripted import ScriptedLlm, ScriptedTts
from voicebot.events import BargedIn, Outcome, ReplyFinishing, ReplyHeld, SpeechResumed
from voicebot.latency import estimated_breakdown
from voicebot.session import SessionRules
from voicebot.turns.interruption import BargeInMode, InterruptionRules

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any], Any]

FIRST = "one two three four five six seven, eight nine ten eleven twelve thirteen fourteen."
SECOND = "fifteen sixteen seventeen eighteen nineteen twenty."
REPLY = f"{FIRST} {SECOND}"
WORD_S = 0.2
MODES = [BargeInMode.FINISH_SENTENCE, BargeInMode.NEVER]


def spoken_over(
    mode: BargeInMode, *intrusions: tuple[float, float, str], reply: str = REPLY, **stages: Any
) -> Any:
    """A question that is answered by two sentences, and intrusions (start, length, text)."""
    replaced = {
        "asr": TurnByTurnAsr("count", *(text for _, _, text in intrusions)),
        "llm": ScriptedLlm({"count": reply}, default="fine then."),
        **stages,
    }
    clips = [(0.5, speech(1.0)), *((at_s, tone(length_s)) for at_s, length_s, _ in intrusions)]
    rules = SessionRules(interruption=InterruptionRules(mode=mode))
    return converse(clips, stages=scripted(**replaced), rules=rules)


def words_sounded(talk: Conversation) -> float:
    return sum(end - start for start, end in talk.bot_spans) / WORD_S


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "outcome"), [("okay", Outcome.ACKNOWLEDGED), ("", Outcome.DISMISSED)]
)
@pytest.mark.parametrize("at_s", [3.2, 3.5, 4.3, 4.5])
def test_an_acknowledgement_changes_nothing(
    virtual_time: Run, mode: BargeInMode, text: str, outcome: Outcome, at_s: float
) -> None:
    talk = virtual_time(spoken_over(mode, (at_s, 0.3, text)))
    closed = {item.outcome: item for item in talk.closed}
    assert closed.keys() == {outcome, Outcome.ANSWERED}
    assert closed[Outcome.ANSWERED].heard == REPLY
    assert len(talk.bot_spans) == 1, "the bot spoke without a gap"
    assert words_sounded(talk) == pytest.approx(20, abs=0.1)
    assert not talk.of(BargedIn)
    assert not talk.of(ReplyHeld)
    assert [each.user_text for each in talk.history.exchanges] == ["count"]


@pytest.mark.parametrize("at_s", [3.2, 3.5, 3.8])
@pytest.mark.parametrize(("length_s", "text"), [(0.4, "stop"), (1.2, "no wait a moment please")])
def test_the_sentence_is_finished_and_the_rest_dropped(
    virtual_time: Run, at_s: float, length_s: float, text: str
) -> None:
    talk = virtual_time(spoken_over(BargeInMode.FINISH_SENTENCE, (at_s, length_s, text)))
    question, interruption = talk.closed
    assert question.outcome is interruption.outcome is Outcome.ANSWERED
    (started, ended), *rest = talk.bot_spans
    assert ended - started == pytest.approx(14 * WORD_S, abs=0.02), "to the sample, and no further"
    assert question.heard == FIRST
    assert talk.history.exchanges[0].heard_text == FIRST
    assert talk.history.exchanges[1].user_text == text
    assert interruption.heard == "fine then."
    assert rest
    assert rest[0][0] > talk.starts_s[1] + length_s
    (barged_in,) = talk.of(BargedIn)
    assert barged_in.silent_from_s == pytest.approx(ended, abs=0.02)
    assert len(talk.of(ReplyFinishing)) == 1


def test_the_language_model_is_told_what_will_have_been_heard(virtual_time: Run) -> None:
    llm = ScriptedLlm({"count": REPLY}, default="fine then.")
    virtual_time(spoken_over(BargeInMode.FINISH_SENTENCE, (3.3, 0.4, "stop"), llm=llm))
    assert [message.content for message in llm.asked[-1]] == ["count", FIRST, "stop"]


def test_a_sentence_that_is_still_written_is_finished(virtual_time: Run) -> None:
    slow = ScriptedLlm(
        {"count": f"one two three, four five, {SECOND}"}, default="fine then.", token_s=0.25
    )
    talk = virtual_time(spoken_over(BargeInMode.FINISH_SENTENCE, (3.2, 0.4, "stop"), llm=slow))
    assert talk.closed[0].heard == talk.closed[0].reply == f"one two three, four five, {SECOND}"
    assert talk.closed[1].outcome is Outcome.ANSWERED


def test_a_slow_voice_says_no_more_than_the_sentence(virtual_time: Run) -> None:
    talk = virtual_time(
        spoken_over(
            BargeInMode.FINISH_SENTENCE, (3.3, 0.4, "stop"), tts=ScriptedTts(latency_s=0.19)
        )
    )
    assert talk.closed[0].heard == FIRST
    assert talk.closed[1].heard == "fine then."


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_was_chosen_is_no_latency(virtual_time: Run, mode: BargeInMode) -> None:
    talk = virtual_time(spoken_over(mode, (3.2, 0.4, "stop"), (14.0, 1.0, "and now")))
    question, waited, last = talk.closed
    assert waited.outcome is Outcome.ANSWERED
    assert estimated_breakdown(waited) is None
    for turn in (question, last):
        parts = estimated_breakdown(turn)
        assert parts is not None
        assert parts.total_ms < 1000


@pytest.mark.parametrize("at_s", [3.2, 4.0, 4.4])
@pytest.mark.parametrize(("length_s", "text"), [(0.4, "stop"), (1.2, "no wait a moment please")])
def test_what_is_said_over_the_bot_is_answered_when_it_is_done(
    virtual_time: Run, at_s: float, length_s: float, text: str
) -> None:
    talk = virtual_time(spoken_over(BargeInMode.NEVER, (at_s, length_s, text)))
    question, interruption = talk.closed
    assert question.heard == REPLY
    assert interruption.transcript == text
    assert interruption.heard == "fine then."
    (started, ended), (next_start, _) = talk.bot_spans
    assert ended - started == pytest.approx(20 * WORD_S, abs=0.02)
    assert next_start > ended
    assert not talk.of(BargedIn)
    assert [each.heard_text for each in talk.history.exchanges] == [REPLY, "fine then."]


def test_two_remarks_over_one_reply_are_answered_together(virtual_time: Run) -> None:
    talk = virtual_time(
        spoken_over(BargeInMode.NEVER, (3.0, 0.4, "stop it"), (4.1, 0.4, "no"), reply=REPLY * 2)
    )
    outcomes = [closed.outcome for closed in talk.closed]
    assert outcomes == [Outcome.MERGED, Outcome.ANSWERED, Outcome.ANSWERED]
    assert talk.closed[1].heard == (REPLY * 2)
    assert talk.closed[2].heard == "fine then."
    assert len(talk.bot_spans) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_noise_too_short_to_be_a_turn_leaves_the_reply_alone(
    virtual_time: Run, mode: BargeInMode
) -> None:
    talk = virtual_time(spoken_over(mode, (3.3, 0.07, "")))
    assert {item.outcome for item in talk.closed} == {Outcome.DISMISSED, Outcome.ANSWERED}
    assert len(talk.bot_spans) == 1


def test_who_goes_on_with_their_own_sentence_is_yielded_to(virtual_time: Run) -> None:
    """It begins too early: to finish its sentence then would be rude."""
    rules = SessionRules(interruption=InterruptionRules(mode=BargeInMode.FINISH_SENTENCE))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.9, 1.0))], rules=rules))
    assert [item.outcome for item in talk.closed] == [Outcome.MERGED, Outcome.ANSWERED]


def test_never_means_never(virtual_time: Run) -> None:
    rules = SessionRules(interruption=InterruptionRules(mode=BargeInMode.NEVER))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.9, 1.0))], rules=rules))
    assert [item.outcome for item in talk.closed] == [Outcome.ANSWERED, Outcome.ANSWERED]
    assert talk.closed[0].heard == talk.closed[0].reply


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("onset_s", [round(1.55 + 0.1 * step, 2) for step in range(40)])
def test_a_user_who_speaks_at_any_stage_is_answered_once(
    virtual_time: Run, mode: BargeInMode, onset_s: float
) -> None:
    rules = SessionRules(interruption=InterruptionRules(mode=mode))
    talk = virtual_time(converse([(0.5, speech(1.0)), (onset_s, speech(0.9))], rules=rules))
    assert talk.closed[-1].outcome is Outcome.ANSWERED
    assert talk.closed[-1].heard == talk.closed[-1].reply
    turns = [closed.turn for closed in talk.closed]
    assert turns == sorted(set(turns))
    assert any(start > talk.starts_s[-1] + 0.9 for start, _ in talk.bot_spans)


def test_where_speech_goes_on_is_told(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(0.75, 0.16, 1.0))]))
    (resumed,) = talk.of(SpeechResumed)
    goes_on_s = talk.starts_s[0] + 0.75 + 0.16
    assert resumed.speech_start_s == pytest.approx(goes_on_s, abs=512 / RATE_HZ)
