"""What the live view shows, folded from facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conversations import converse, scripted, speech, tone
from test_session_interruptions import TurnByTurnAsr
from voicebot.engines.scripted import FailAt, ScriptedLlm
from voicebot.errors import EngineError
from voicebot.events import ClauseSpoken, Outcome, PartialTranscript, SpeechStarted, TurnClosed
from voicebot.terminal.view_state import (
    Activity,
    HelpToggled,
    LineEdited,
    MicrophoneSet,
    Noticed,
    Tick,
    ViewState,
    reduce,
)
from voicebot.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.terminal.view_state import ViewFact

    Run = Callable[[Any], Any]


def fold(*facts: ViewFact, state: ViewState | None = None) -> ViewState:
    state = state or ViewState()
    for fact in facts:
        state = reduce(state, fact)
    return state


def told(state: ViewState) -> list[str]:
    return [notice.text for notice in state.notices]


def activities(*facts: ViewFact) -> list[str]:
    """The activities in order, each once."""
    state, seen = ViewState(), [Activity.LISTENING.value]
    for fact in facts:
        state = reduce(state, fact)
        if state.activity.value != seen[-1]:
            seen.append(state.activity.value)
    return seen


def test_a_turn_goes_through_its_activities(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))]))
    (closed,) = talk.closed
    facts = [*talk.events[:-1], Tick(-80, 1, "That is a"), talk.events[-1]]
    assert activities(*facts) == [
        "listening",
        "hearing",
        "listening",
        "thinking",
        "speaking",
        "listening",
    ]
    state = fold(*facts)
    (turn,) = state.turns
    assert (turn.user, turn.bot, turn.note) == (closed.transcript, closed.heard, "")
    assert turn.parts is not None
    assert state.p50_ms == pytest.approx(turn.parts.total_ms)
    assert state.partial == state.said == state.heard == ""


def test_the_words_are_shown_as_they_come(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))]))
    partials = [event.text for event in talk.of(PartialTranscript)]
    state, seen = ViewState(), []
    for event in talk.events:
        state = reduce(state, event)
        if state.partial and (not seen or seen[-1] != state.partial):
            seen.append(state.partial)
    assert seen == partials


def test_the_reply_is_shown_clause_by_clause() -> None:
    state = fold(ClauseSpoken(3, "One, ", 1.0), ClauseSpoken(3, "two.", 2.0), Tick(-50, 3, "One,"))
    assert state.said == "One, two."
    assert state.heard == "One,"
    assert state.is_audible
    assert fold(ClauseSpoken(4, "Three.", 3.0), state=state).said == "Three."


def test_a_tick_of_another_turn_marks_nothing() -> None:
    state = fold(ClauseSpoken(3, "One.", 1.0), Tick(-50, 2, "Other"))
    assert state.heard == ""
    assert not state.is_audible


def test_a_merged_turn_leaves_its_words_to_the_next(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(0.75, 0.5, 1.0))]))
    merged = next(item for item in talk.closed if item.outcome is Outcome.MERGED)
    at = talk.events.index(merged)
    state = fold(*talk.events[: at + 1])
    assert state.activity is Activity.HEARING
    assert state.partial
    assert not state.turns
    assert len(fold(*talk.events).turns) == 1


@pytest.mark.parametrize(
    ("text", "length_s", "note"),
    [("okay", 0.3, "the bot went on"), ("no wait please", 1.0, "")],
)
def test_what_became_of_a_turn_is_noted(
    virtual_time: Run, text: str, length_s: float, note: str
) -> None:
    reply = "one two three four five six seven eight nine ten eleven twelve thirteen."
    stages = scripted(
        asr=TurnByTurnAsr("count", text), llm=ScriptedLlm({"count": reply}, default="fine.")
    )
    talk = virtual_time(converse([(0.5, speech(1.0)), (3.3, tone(length_s))], stages=stages))
    notes = {turn.user: turn.note for turn in fold(*talk.events).turns}
    assert notes == {"count": "" if note else "interrupted", text: note}


def test_a_failure_is_told(virtual_time: Run) -> None:
    stages = scripted(llm=ScriptedLlm(fail_at=FailAt(1, EngineError("it broke"))))
    state = fold(*virtual_time(converse([(0.5, speech(1.0))], stages=stages)).events)
    assert told(state) == ["it broke"]
    assert state.turns[0].note == "failed"
    assert state.latencies_ms == (), "an apology is no answer"


def test_what_keys_do_is_seen() -> None:
    assert fold(MicrophoneSet(is_muted=True, is_shut=True)).activity is Activity.MUTED
    assert fold(MicrophoneSet(is_muted=False, is_shut=True)).activity is Activity.READY
    assert fold(MicrophoneSet(is_muted=False, is_shut=False)).activity is Activity.LISTENING
    assert fold(Tick(-50, is_asleep=True)).activity is Activity.ASLEEP
    assert fold(LineEdited("he")).line == "he"
    assert fold(LineEdited("he"), LineEdited(None)).line is None
    assert fold(HelpToggled()).shows_help
    assert not fold(HelpToggled(), HelpToggled()).shows_help


def test_notices_do_not_pile_up() -> None:
    state = fold(*(Noticed(f"line {index}\n") for index in range(9)), Noticed("  "))
    assert told(state) == ["line 6", "line 7", "line 8"]


def test_what_libraries_write_takes_the_place_of_nothing_else() -> None:
    noise = [Noticed(f"ALSA lib {index}", is_of_library=True) for index in range(50)]
    state = fold(Noticed("the microphone is gone"), *noise, Noticed("it is back"), *noise)
    assert told(state) == ["the microphone is gone", "it is back", "ALSA lib 49"]


def test_a_notice_goes_after_a_while_and_time_alone_is_no_change() -> None:
    state = fold(Tick(-50, at_s=100.0), Noticed("early"), Tick(-50, at_s=115.0), Noticed("late"))
    assert fold(Tick(-50, at_s=116.0), state=state) == state
    assert told(fold(Tick(-50, at_s=125.0), state=state)) == ["late"]
    assert told(fold(Tick(-50, at_s=136.0), state=state)) == []


def test_an_hour_of_turns_does_not_pile_up() -> None:
    state = ViewState()
    for number in range(1, 1500):
        state = fold(
            SpeechStarted(number, 0.0, 0.0), _closed(number, f"word {number}"), state=state
        )
    assert len(state.turns) == 200
    assert state.turns[-1].number == 1499


def _closed(number: int, text: str) -> TurnClosed:
    return TurnClosed(
        number, Outcome.ANSWERED, text, "yes", "yes", 0.0, 1.0, Timeline(), 1, 0, 0, None
    )
