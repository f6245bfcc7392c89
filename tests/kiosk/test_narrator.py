"""What the page is told of a conversation, and of its latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations import converse, scripted, speech
from voicebot.engines.scripted import ScriptedAsr, ScriptedLlm
from voicebot.events import TurnClosed
from voicebot.kiosk.latencies import Latencies
from voicebot.kiosk.narrator import Narrator
from voicebot.kiosk.page_messages import BotWords, Heard, Latency, State, TurnOver, UserWords

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from voicebot.kiosk.page_messages import ServerMessage

    RunInVirtualTime = Callable[[Coroutine[Any, Any, Any]], Any]

LONG = "Let me tell you about it. There is more. There is even more. And then there is the rest."


def told(
    run: RunInVirtualTime, clips: Sequence[tuple[float, Any]], **stages: Any
) -> list[ServerMessage]:
    conversation = run(converse(clips, stages=scripted(**stages)))
    narrator = Narrator(Latencies())
    return [message for event in conversation.events for message in narrator.tell(event)]


def states(messages: list[ServerMessage]) -> list[str]:
    return [message.state for message in messages if isinstance(message, State)]


def test_a_turn_is_told_from_the_first_word_to_its_latency(virtual_time: RunInVirtualTime) -> None:
    messages = told(
        virtual_time, [(1.0, speech(1.0))], asr=ScriptedAsr(["how", "are", "you", "now"])
    )
    assert states(messages) == ["thinking", "speaking", "listening"]
    user = [message for message in messages if isinstance(message, UserWords)]
    assert [message.is_final for message in user] == [False] * (len(user) - 1) + [True]
    assert user[-1].text == "how are you now"
    bot = [message for message in messages if isinstance(message, BotWords)]
    assert bot[-1].text == "That is a good question. I think it is so."
    over = [message for message in messages if isinstance(message, TurnOver)]
    assert over == [TurnOver(1, "answered", was_cut=False)]
    (latency,) = [message for message in messages if isinstance(message, Latency)]
    assert latency.total_ms == pytest.approx(sum(latency.parts_ms.values()), abs=0.5)
    assert latency.page_ms is None
    assert latency.turns == 1


def test_an_interrupted_reply_is_told_to_the_word(virtual_time: RunInVirtualTime) -> None:
    messages = told(
        virtual_time,
        [(1.0, speech(1.0)), (4.0, speech(1.5))],
        llm=ScriptedLlm(default=LONG),
    )
    over = [message for message in messages if isinstance(message, TurnOver)]
    assert [one.was_cut for one in over] == [True, False]
    first = next(message for message in messages if isinstance(message, Heard))
    assert 0 < first.words < len(LONG.split())


def test_words_that_were_no_turn_of_their_own_leave_the_page(
    virtual_time: RunInVirtualTime,
) -> None:
    messages = told(virtual_time, [(1.0, speech(1.0, 0.9, 1.0))])
    over = [message for message in messages if isinstance(message, TurnOver)]
    assert [one.outcome for one in over] == ["merged", "answered"]


def test_heard_words_are_told_once(virtual_time: RunInVirtualTime) -> None:
    narrator = Narrator(Latencies())
    assert narrator.tell_heard(0, "") == []
    assert narrator.tell_heard(1, "That is") == [Heard(1, 2)]
    assert narrator.tell_heard(1, "That is") == []
    assert narrator.tell_heard(1, "That is a") == [Heard(1, 3)]


def test_what_the_page_heard_is_put_beside_the_server_s_figure(
    virtual_time: RunInVirtualTime,
) -> None:
    conversation = virtual_time(converse([(1.0, speech(1.0)), (9.0, speech(1.0))]))
    latencies = Latencies()
    narrator = Narrator(latencies)
    shown = []
    for event in conversation.events:
        if isinstance(event, TurnClosed):
            assert event.speech_end_s is not None
            narrator.was_audible(event.speech_end_s + 0.5)
            narrator.was_audible(event.speech_end_s + 0.9)  # a later utterance of the same turn
        shown += [one for one in narrator.tell(event) if isinstance(one, Latency)]
    assert [one.page_ms for one in shown] == [500.0, 500.0]
    summary = latencies.summary()
    assert summary.turns == 2
    assert summary.page_p50_ms == 500.0
    assert summary.p50_ms is not None
    assert summary.p95_ms is not None
    assert summary.p50_ms <= summary.p95_ms


def test_captions_keep_what_was_answered(virtual_time: RunInVirtualTime) -> None:
    conversation = virtual_time(converse([(1.0, speech(1.0)), (9.0, speech(0.05))]))
    narrator = Narrator(Latencies())
    for event in conversation.events:
        narrator.tell(event)
    (exchange,) = narrator.captions.exchanges
    assert exchange == (conversation.closed[0].transcript, conversation.closed[0].heard)
