"""Many visitors with many mishaps, in virtual time: no turn is lost, nothing hangs or piles up."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from kiosk_server import settings_of
from test_visits import Visitor

from conversations import scripted, silence, speech
from voicebot.engines.scripted import FailAt, ScriptedAsr, ScriptedLlm, ScriptedTts
from voicebot.errors import EngineError
from voicebot.events import Event, SpeechStarted, TurnClosed
from voicebot.kiosk.pages import Pages
from voicebot.kiosk.protocol import End, SetLanguage
from voicebot.kiosk.visits import Visits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    import pytest

    from voicebot.stages import Stages

VISITORS = int(os.environ.get("VOICEBOT_SOAK_VISITORS", "40"))
MISHAPS = ("none", "none", "reload", "walks away", "language", "restart", "done", "interrupts")


def broken_now_and_then(rng: random.Random) -> Stages:
    def fail_at() -> FailAt | None:
        return FailAt(rng.randrange(1, 6), EngineError("broken")) if rng.random() < 0.3 else None

    return scripted(
        asr=ScriptedAsr(fail_at=fail_at()),
        llm=ScriptedLlm(fail_at=fail_at()),
        tts=ScriptedTts(fail_at=fail_at()),
    )


async def visit(visits: Visits, rng: random.Random, counts: Counter[str]) -> None:
    mishap = rng.choice(MISHAPS)
    counts[mishap] += 1
    visitor = Visitor(visits)
    await visitor.begin()
    await visitor.say(np.concatenate([silence(0.3), speech(0.8), silence(0.4)]))
    match mishap:
        case "reload":
            name = visitor.last("seat")["visit"]
            visitor.leave()
            await asyncio.sleep(rng.uniform(0.0, 3.0))
            visitor = Visitor(visits, visit=name)
            await visitor.begin()
        case "language":
            visits.take(visitor.page, SetLanguage("language", rng.choice(["en", "de"])))
        case "restart":
            visits.restart()
        case "done":
            visits.take(visitor.page, End("end"))
        case "interrupts":
            await visitor.say(np.concatenate([silence(0.5), speech(1.2)]))
        case "walks away":
            visitor.leave()
            await asyncio.sleep(8.0)
            return
    await visitor.say(silence(3.0))
    visitor.leave()
    await asyncio.sleep(7.0)


def test_no_turn_is_lost_whatever_visitors_do(
    virtual_time: Callable[[Coroutine[Any, Any, Any]], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "voicebot")  # what pytest keeps of the log is no leak
    rng = random.Random(11)  # noqa: S311
    counts: Counter[str] = Counter()
    events: Counter[str] = Counter()
    tasks_left: list[int] = []
    memory_mib: list[float] = []

    def observe(event: Event) -> None:
        if isinstance(event, SpeechStarted | TurnClosed):
            events[type(event).__name__] += 1

    async def main() -> None:
        @asynccontextmanager
        async def open_stages(_language: str) -> AsyncIterator[Stages]:
            yield broken_now_and_then(rng)

        settings = settings_of(languages="de", forget_after_s=6.0, keep_seat_s=5.0)
        pages = Pages()
        visits = Visits(settings, pages, open_stages, observe=observe)
        running = asyncio.create_task(visits.run())
        await asyncio.sleep(0.01)
        for _ in range(VISITORS):
            await visit(visits, rng, counts)
            assert visits.state == "inviting", "the next visitor finds no invitation"
            assert not pages.is_taken
            tasks_left.append(len(asyncio.all_tasks()))
            memory_mib.append(psutil.Process().memory_info().rss / 2**20)
        assert not running.done()
        assert visits.visits == VISITORS
        assert pages.count == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_time(main())
    gc.collect()
    early_mib, late_mib = memory_mib[len(memory_mib) // 5], memory_mib[-1]
    print(f"soak: {VISITORS} visitors, {dict(counts)}, {dict(events)}")  # noqa: T201
    print(f"memory: {early_mib:.1f} MiB after a fifth, {late_mib:.1f} MiB in the end")  # noqa: T201
    assert events["SpeechStarted"] == events["TurnClosed"] >= VISITORS
    assert max(tasks_left) <= 4
