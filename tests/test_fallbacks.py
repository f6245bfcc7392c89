"""Fallbacks as a conversation knows of them, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conversations import converse, scripted, speech
from voicebot.engines.fallback import FallbackLlm, FallbackPlan
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.errors import EngineError
from voicebot.events import Outcome, StageFailed, StageFellBack, StageRecovered, TurnClosed
from voicebot.fallbacks import FallbackReports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from voicebot.engines.protocols import StopFlag

APOLOGY = "Sorry, something went wrong. Please say that again."
TURNS = [(0.5, speech(1.0)), (60.0, speech(1.0)), (120.0, speech(1.0))]


class Model:
    """Writes ``text``; fails behind so many pieces while ``is_down``."""

    def __init__(self, text: str, *, fails_behind: int = 0) -> None:
        self.text = text
        self.fails_behind = fails_behind
        self.is_down = False
        self.asked = 0

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        self.asked += 1
        for index, word in enumerate(self.text.split()):
            if self.is_down and index == self.fails_behind:
                raise EngineError("server down")
            if index == 0:
                yield Prefilled(None, 0, 0)
            yield TextPiece(word + " ", 1)

    def toggle(self) -> None:
        self.is_down = not self.is_down

    def prepare(self, *_: Any) -> Prefilled | None:
        return None

    def close(self) -> None: ...


class DrivenLlm:
    """Drives a blocking engine as a stage does, in the loop's own time."""

    def __init__(self, engine: FallbackLlm) -> None:
        self._engine = engine

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None: ...

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        for item in self._engine.generate(messages, threading.Event()):
            await asyncio.sleep(0.02)
            yield item


def run(
    first: Model,
    virtual_time: Callable[..., Any],
    down: tuple[float, float],
    retry_after_s: float = 5.0,
) -> tuple[list[Any], list[TurnClosed]]:
    """Three turns, at 0.5, 60 and 120 s; the first model is down from one instant to another."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        reports = FallbackReports()
        plan = FallbackPlan(
            "language model",
            "auto",
            report=reports.report,
            retry_after_s=retry_after_s,
            now=loop.time,
        )
        engine = FallbackLlm(lambda: first, lambda: Model("I am the second."), plan)
        for instant_s in down:
            loop.call_at(instant_s, first.toggle)
        stages = replace(scripted(llm=DrivenLlm(engine)), fallbacks=reports)
        return await converse(TURNS, stages=stages)

    conversation = virtual_time(main())
    told = (StageFellBack, StageRecovered, StageFailed, TurnClosed)
    return [event for event in conversation.events if isinstance(event, told)], conversation.closed


def test_the_turn_is_answered_by_the_second_and_later_by_the_first_again(
    virtual_time: Callable[..., Any],
) -> None:
    events, closed = run(Model("I am the first."), virtual_time, (50.0, 100.0))
    assert [turn.heard for turn in closed] == [
        "I am the first.",
        "I am the second.",
        "I am the first.",
    ]
    assert all(turn.outcome is Outcome.ANSWERED for turn in closed)
    assert [type(event) for event in events] == [
        TurnClosed,
        StageFellBack,
        TurnClosed,
        StageRecovered,
        TurnClosed,
    ]
    assert str(events[1].error) == "server down"


def test_a_draft_that_broke_off_unheard_is_written_anew_by_the_second(
    virtual_time: Callable[..., Any],
) -> None:
    first = Model("I am the first. And I say more than that.", fails_behind=6)
    events, closed = run(first, virtual_time, (50.0, 199.0))
    assert closed[0].heard == "I am the first. And I say more than that."
    assert closed[1].failure is None
    assert closed[1].heard == closed[1].reply == "I am the second."
    assert closed[2].heard == "I am the second."
    assert [type(event) for event in events].count(StageFellBack) == 1


def test_a_reply_that_broke_off_aloud_is_apologised_for_and_the_next_turn_is_the_seconds(
    virtual_time: Callable[..., Any],
) -> None:
    first = Model("I am the first. " * 50, fails_behind=150)
    _, closed = run(first, virtual_time, (50.0, 199.0), retry_after_s=500.0)
    assert closed[1].failure == "server down"
    assert closed[1].heard.startswith("I am the first.")
    assert closed[1].heard.endswith(APOLOGY)
    assert closed[2].heard == "I am the second."


def test_what_is_in_force_is_told_to_whoever_listens_next() -> None:
    async def main() -> list[Any]:
        reports = FallbackReports()
        event = StageFellBack("synthesis", "espeak", EngineError("away"))
        told: list[Any] = []
        also_told: list[Any] = []
        reports.report(event)
        loop = asyncio.get_running_loop()
        with reports.told_to(told.append, loop):
            assert told == [event]
            with reports.told_to(also_told.append, loop):
                assert also_told == [event]
            thread = threading.Thread(target=reports.report, args=(StageRecovered("synthesis"),))
            thread.start()
            thread.join()
            await asyncio.sleep(0)
        reports.report(event)
        await asyncio.sleep(0)
        assert reports.has_taken_over("synthesis")
        assert not reports.has_taken_over("recognition")
        assert also_told == [event]
        return told

    assert len(asyncio.run(main())) == 2
