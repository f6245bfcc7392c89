"""What keys ask of a conversation: typed lines, stop, repeat, turns held open; in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conversations import converse, scripted, speech, tone
from test_session_interruptions import REPLY, TurnByTurnAsr
from voicebot.engines.scripted import FailAt, ScriptedLlm
from voicebot.errors import EngineError
from voicebot.events import (
    CommitReason,
    Outcome,
    ReplyRepeated,
    ReplyStopped,
    TextEntered,
    TurnCommitted,
)
from voicebot.timeline import Mark, break_down
from voicebot.turns.endpointer import BotState

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.session import Session

    Run = Callable[[Any], Any]


def types(text: str) -> Callable[[Session], object]:
    return lambda session: session.answer_text(text)


def counting(**stages: Any) -> Any:
    replaced = {
        "asr": TurnByTurnAsr("count"),
        "llm": ScriptedLlm({"count": REPLY}, default="fine then."),
        **stages,
    }
    return scripted(**replaced)


def test_a_typed_line_is_answered_aloud(virtual_time: Run) -> None:
    talk = virtual_time(converse([], keys=[(1.0, types("  how are\tyou? "))]))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.is_typed
    assert closed.transcript == "how are you?"
    assert closed.heard == closed.reply
    assert talk.of(TextEntered) == [TextEntered(1, 1.0, "how are you?")]
    assert [message.content for message in talk.history.messages()] == [
        "how are you?",
        closed.heard,
    ]
    breakdown = break_down(
        closed.timeline, end_s=1.0, audible_s=closed.timeline.marks[Mark.LEFT_SINK]
    )
    assert breakdown is not None
    assert breakdown.endpoint == breakdown.asr == 0
    assert breakdown.llm > 50
    assert breakdown.unattributed == pytest.approx(0, abs=1)
    assert talk.bot_spans[0][0] - 1.0 == pytest.approx(breakdown.total_ms / 1000, abs=0.01)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_line_is_nothing(virtual_time: Run, text: str) -> None:
    talk = virtual_time(converse([], keys=[(1.0, types(text))]))
    assert not talk.events


def test_a_typed_line_interrupts_the_bot(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=counting(), keys=[(3.5, types("stop that"))])
    )
    question, line = talk.closed
    assert REPLY.startswith(question.heard)
    assert 0 < len(question.heard) < len(REPLY)
    assert talk.history.exchanges[0].heard_text == question.heard
    assert line.heard == "fine then."
    (stopped,) = talk.of(ReplyStopped)
    assert stopped.silent_from_s == pytest.approx(3.5, abs=0.04)


def test_a_typed_line_takes_the_place_of_speech(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(2.0))], keys=[(1.5, types("never mind"))]))
    spoken, line = talk.closed[:2]
    assert spoken.outcome is Outcome.DISMISSED
    assert line.transcript == "never mind"


@pytest.mark.parametrize("noise_s", [0.2, 0.07])
def test_the_noise_of_a_key_does_not_cost_the_line(virtual_time: Run, noise_s: float) -> None:
    stages = counting(asr=TurnByTurnAsr(""), llm=ScriptedLlm(prefill_s=0.6))
    talk = virtual_time(
        converse([(1.02, tone(noise_s))], stages=stages, keys=[(1.0, types("hello"))])
    )
    noise, line = talk.closed
    assert noise.outcome is Outcome.DISMISSED
    assert line.outcome is Outcome.ANSWERED
    assert line.heard == line.reply


def test_who_speaks_after_typing_is_answered_to_both(virtual_time: Run) -> None:
    llm = ScriptedLlm(prefill_s=0.6)
    stages = counting(asr=TurnByTurnAsr("in french please"), llm=llm)
    talk = virtual_time(
        converse([(1.1, tone(1.2))], stages=stages, keys=[(1.0, types("greet me"))])
    )
    assert talk.closed[-1].outcome is Outcome.ANSWERED
    assert [message.content for message in llm.asked[-1]] == ["greet me", "in french please"]


def test_a_failure_after_typing_is_admitted(virtual_time: Run) -> None:
    broken = ScriptedLlm(fail_at=FailAt(1, EngineError("llm broke")))
    talk = virtual_time(
        converse([], stages=scripted(llm=broken), keys=[(1.0, types("a")), (6.0, types("b"))])
    )
    assert talk.closed[0].failure == "llm broke"
    assert talk.closed[0].heard.startswith("Sorry")
    assert talk.closed[1].failure is None


@pytest.mark.parametrize("at_s", [3.2, 3.7, 4.2])
def test_stop_silences_the_reply_at_a_word(virtual_time: Run, at_s: float) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=counting(), keys=[(at_s, lambda s: s.stop())])
    )
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert REPLY.startswith(closed.heard)
    ((_, ended),) = talk.bot_spans
    assert ended == pytest.approx(at_s, abs=0.04)
    assert talk.history.exchanges[0].heard_text == closed.heard
    assert len(closed.heard.split()) == int((ended - talk.bot_spans[0][0]) / 0.2 + 0.01)


def test_stop_when_nothing_is_said_does_nothing(virtual_time: Run) -> None:
    told: list[bool] = []
    talk = virtual_time(converse([], keys=[(1.0, lambda s: told.append(s.stop()))]))
    assert told == [False]
    assert not talk.events


def test_stop_before_the_first_sound_drops_the_turn(virtual_time: Run) -> None:
    stages = counting(llm=ScriptedLlm(prefill_s=2.0))
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=stages, keys=[(2.5, lambda s: s.stop())])
    )
    assert [closed.outcome for closed in talk.closed] == [Outcome.DISMISSED]
    assert not talk.bot_spans


def test_the_last_reply_is_said_again(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=counting(), keys=[(8.0, lambda s: s.repeat())])
    )
    question, again = talk.closed
    assert again.outcome is Outcome.REPEATED
    assert again.heard == question.heard == REPLY
    assert talk.of(ReplyRepeated) == [ReplyRepeated(2, 1)]
    assert len(talk.history.exchanges) == 1
    first, second = talk.bot_spans
    assert second[1] - second[0] == pytest.approx(first[1] - first[0], abs=0.02)


def test_what_is_heard_again_further_counts_as_heard(virtual_time: Run) -> None:
    keys = [(3.5, lambda s: s.stop()), (4.5, lambda s: s.repeat())]
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=counting(), keys=keys))
    question, again = talk.closed
    assert len(question.heard) < len(REPLY)
    assert again.heard == question.reply
    assert talk.history.exchanges[0].heard_text == question.reply


def test_repeat_starts_a_running_reply_over(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=counting(), keys=[(3.5, lambda s: s.repeat())])
    )
    question, again = talk.closed
    assert REPLY.startswith(question.heard)
    assert again.heard == question.reply == REPLY


def test_a_repeat_can_be_interrupted(virtual_time: Run) -> None:
    stages = counting(asr=TurnByTurnAsr("count", "stop it now"))
    talk = virtual_time(
        converse(
            [(0.5, speech(1.0)), (9.0, tone(1.0))],
            stages=stages,
            keys=[(8.0, lambda s: s.repeat())],
        )
    )
    outcomes = [closed.outcome for closed in talk.closed]
    assert outcomes == [Outcome.ANSWERED, Outcome.REPEATED, Outcome.ANSWERED]
    assert talk.closed[2].transcript == "stop it now"


def test_nothing_to_repeat(virtual_time: Run) -> None:
    talk = virtual_time(converse([], keys=[(1.0, lambda s: s.repeat())]))
    assert not talk.events


def test_a_turn_that_is_held_open_ends_when_it_is_said_to(virtual_time: Run) -> None:
    keys = [(0.4, lambda s: s.hold_turn_open()), (5.0, lambda s: s.end_turn())]
    talk = virtual_time(converse([(0.5, speech(0.75, 2.5, 0.75))], keys=keys))
    (closed,) = talk.closed
    assert closed.transcript.split()[-1] == "word5"
    (committed,) = talk.of(TurnCommitted)
    assert committed.reason is CommitReason.SURE
    assert committed.at_s == pytest.approx(5.0, abs=0.05)


def test_the_end_of_a_turn_needs_no_wait(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))], keys=[(1.53, lambda s: s.end_turn())]))
    (committed,) = talk.of(TurnCommitted)
    assert committed.at_s < 1.56
    assert talk.closed[0].outcome is Outcome.ANSWERED


def test_the_state_of_the_bot_and_what_is_heard_can_be_asked_for(virtual_time: Run) -> None:
    seen: list[tuple[BotState, tuple[int, str]]] = []

    def look(session: Session) -> None:
        seen.append((session.bot, session.heard_so_far()))

    keys = [(at_s, look) for at_s in (1.0, 3.0, 3.6, 9.0)]
    virtual_time(converse([(0.5, speech(1.0))], stages=counting(), keys=keys))
    assert [state for state, _ in seen] == [
        BotState.SILENT,
        BotState.AUDIBLE,
        BotState.AUDIBLE,
        BotState.SILENT,
    ]
    assert seen[0][1] == seen[3][1] == (0, "")
    assert REPLY.startswith(seen[2][1][1])
    assert len(seen[1][1][1]) < len(seen[2][1][1])
