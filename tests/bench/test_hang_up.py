"""When a caller has heard enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.hang_up import HangUp
from voicebot.events import (
    ClauseSpoken,
    CommitReason,
    ReplyResumed,
    SpeechStarted,
    TurnCommitted,
)

if TYPE_CHECKING:
    from voicebot.events import Event

ANSWERED: tuple[Event, ...] = (
    SpeechStarted(1, 1.1, 1.0),
    TurnCommitted(1, 2.2, 2.0, CommitReason.SURE),
    ClauseSpoken(1, "Yes.", 2.3),
)


def hang_up(*events: Event) -> HangUp:
    caller = HangUp(0.5, last_speech_start_s=1.0)
    for event in events:
        caller.observe(event)
    return caller


def heard() -> list[tuple[float, float]]:
    return [(2.4, 5.0)]


def test_a_caller_hears_the_reply_for_the_time_asked_for() -> None:
    caller = hang_up(*ANSWERED)
    assert not caller.is_due(2.85, heard)
    assert caller.is_due(2.9, heard)


def test_who_speaks_again_waits_for_another_reply() -> None:
    assert not hang_up(*ANSWERED, SpeechStarted(2, 3.1, 3.0)).is_due(9.0, heard)


def test_a_noise_over_a_reply_that_goes_on_is_no_reason_to_stay() -> None:
    noise = (SpeechStarted(2, 3.1, 3.0), ReplyResumed(1, 3.6))
    assert hang_up(*ANSWERED, *noise).is_due(3.7, heard)


def test_a_reply_to_what_was_said_before_a_pause_does_not_count() -> None:
    caller = HangUp(0.5, last_speech_start_s=2.5)
    for event in ANSWERED:
        caller.observe(event)
    assert not caller.is_due(9.0, heard)
