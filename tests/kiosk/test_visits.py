"""Visitors in virtual time: they come, talk, are cut off, go, and are forgotten."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kiosk_server import settings_of

from conversations import scripted, silence, speech
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.scripted import FailAt, ScriptedVad
from voicebot.errors import EngineError
from voicebot.kiosk.pages import Page, Pages
from voicebot.kiosk.protocol import (
    Begin,
    End,
    Join,
    MicrophoneFrame,
    PlaybackReport,
    Pong,
    ProtocolError,
    SetLanguage,
    to_pcm,
)
from voicebot.kiosk.visits import Visits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from voicebot.stages import Stages

    RunInVirtualTime = Callable[[Coroutine[Any, Any, Any]], Any]

RATE_HZ = 16_000


class Visitor:
    """A page with somebody in front of it; its clocks are the loop's."""

    def __init__(self, visits: Visits, visit: str = "") -> None:
        self.visits = visits
        self.page = Page(visits.playback_rate_hz)
        self.told: list[dict[str, Any]] = []
        self.audio = 0
        self._sent = 0
        visits.join(self.page, Join("join", 1, visit))

    async def begin(self) -> None:
        self.page.ping()
        self.read()
        ping = [one for one in self.told if one["type"] == "ping"][-1]
        now_ms = asyncio.get_running_loop().time() * 1000.0
        self.visits.take(self.page, Pong("pong", ping["id"], now_ms))
        self.visits.take(self.page, Begin("begin", RATE_HZ, 0.0))
        self.report()

    def report(self) -> None:
        now_ms = asyncio.get_running_loop().time() * 1000.0
        frame = round(now_ms * 16)
        report = PlaybackReport("playback", RATE_HZ, frame, now_ms, frame, now_ms + 20.0)
        self.visits.take(self.page, report)

    async def say(self, samples: np.ndarray) -> None:
        for at in range(0, len(samples), 160):
            await asyncio.sleep(0.01)
            now_ms = asyncio.get_running_loop().time() * 1000.0
            pcm = to_pcm(samples[at : at + 160])
            frame = MicrophoneFrame(self._sent, self._sent * 160, now_ms, pcm)
            self.visits.take_audio(self.page, frame)
            self._sent += 1
            self.read()

    def read(self) -> list[dict[str, Any]]:
        while not self.page.outbox.empty():
            data = self.page.outbox.get_nowait()
            if isinstance(data, bytes):
                self.audio += (len(data) - 24) // 2
            else:
                self.told.append(json.loads(data))
        return self.told

    def last(self, kind: str) -> dict[str, Any]:
        return [one for one in self.read() if one["type"] == kind][-1]

    def notices(self) -> list[str]:
        return [one["notice"] for one in self.read() if one["type"] == "notice"]

    def leave(self) -> None:
        self.visits.leave(self.page)


@asynccontextmanager
async def open_kiosk(
    stages: Callable[[], Stages] = scripted, *, open_card: Any = None, **kiosk: Any
) -> AsyncIterator[tuple[Visits, list[str]]]:
    opened: list[str] = []

    @asynccontextmanager
    async def open_stages(language: str) -> AsyncIterator[Stages]:
        opened.append(language)
        yield stages()

    visits = Visits(settings_of(**kiosk), Pages(), open_stages, open_card=open_card)
    running = asyncio.create_task(visits.run())
    await asyncio.sleep(0.01)
    try:
        yield visits, opened
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_visitor_talks_is_answered_and_says_goodbye(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            visitor = Visitor(visits)
            assert visitor.last("state")["state"] == "inviting"
            await visitor.begin()
            await visitor.say(np.concatenate([silence(0.5), speech(1.0), silence(5.0)]))
            assert visitor.last("you")["is_final"]
            assert visitor.last("bot")["text"].startswith("That is a good question")
            assert visitor.last("over")["outcome"] == "answered"
            assert visitor.last("heard")["words"] == len(visitor.last("bot")["text"].split())
            assert visitor.audio > 1.0 * RATE_HZ
            visits.take(visitor.page, End("end"))
            await asyncio.sleep(0.2)
            assert visitor.notices() == ["goodbye"]
            assert visitor.last("captions")["exchanges"] == []
            assert visitor.last("seat") == {"type": "seat", "seat": "free", "visit": ""}
            assert visits.state == "inviting"
            assert visits.visits == 1

    virtual_time(main())


def test_the_next_visitor_s_model_knows_nothing_of_the_last(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        stages = scripted()
        async with open_kiosk(lambda: stages, forget_after_s=5.0) as (visits, _):
            for _ in range(2):
                visitor = Visitor(visits)
                await visitor.begin()
                await visitor.say(np.concatenate([silence(0.5), speech(1.0), silence(12.0)]))
                assert visitor.notices() == ["forgotten"]
                visitor.leave()
        first, second = stages.llm.asked[0], stages.llm.asked[-1]
        assert [one.content for one in first] == [one.content for one in second]

    virtual_time(main())


def test_one_visitor_at_a_time(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            first, second = Visitor(visits), Visitor(visits)
            await first.begin()
            await second.begin()
            assert first.last("seat")["seat"] == "yours"
            assert second.last("seat")["seat"] == "taken"
            await first.say(np.concatenate([silence(0.5), speech(1.0), silence(3.0)]))
            await second.say(speech(1.0))
            visits.take(second.page, End("end"))
            await asyncio.sleep(0.2)
            assert visits.outcomes == {"answered": 1}
            assert second.last("bot")["text"] == first.last("bot")["text"]
            assert second.audio == 0
            assert visits.state == "listening"

    virtual_time(main())


def test_a_lost_page_finds_its_conversation_again(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            visitor = Visitor(visits)
            await visitor.begin()
            await visitor.say(np.concatenate([silence(0.5), speech(1.0), silence(3.0)]))
            name = visitor.last("seat")["visit"]
            visitor.leave()
            await asyncio.sleep(5.0)
            stranger = Visitor(visits, visit="somebody else's")
            assert stranger.last("seat")["seat"] == "taken"
            again = Visitor(visits, visit=name)
            assert again.notices() == ["continued"]
            assert len(again.last("captions")["exchanges"]) == 1
            await again.begin()
            await again.say(np.concatenate([silence(0.5), speech(1.0), silence(3.0)]))
            assert visits.outcomes == {"answered": 2}
            assert visits.visits == 1

    virtual_time(main())


def test_a_page_lost_in_the_middle_of_a_word_is_answered_when_it_comes_back(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            visitor = Visitor(visits)
            await visitor.begin()
            await visitor.say(np.concatenate([silence(0.5), speech(1.0)]))
            name = visitor.last("seat")["visit"]
            visitor.leave()
            await asyncio.sleep(1.0)
            again = Visitor(visits, visit=name)
            await again.begin()
            await again.say(silence(4.0))
            assert visits.outcomes == {"answered": 1}
            assert again.audio > 0

    virtual_time(main())


def test_a_page_that_does_not_come_back_frees_its_seat(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk(keep_seat_s=10.0) as (visits, _):
            visitor, other = Visitor(visits), Visitor(visits)
            await visitor.begin()
            visitor.leave()
            await asyncio.sleep(9.0)
            assert other.last("seat")["seat"] == "taken"
            await asyncio.sleep(2.0)
            assert other.last("seat")["seat"] == "free"
            await other.begin()
            assert other.last("seat")["seat"] == "yours"

    virtual_time(main())


def test_a_language_is_chosen_and_the_models_are_loaded_for_it(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        async with open_kiosk(languages="de,fr") as (visits, opened):
            visitor, other = Visitor(visits), Visitor(visits)
            assert visitor.last("hello")["languages"] == ["en", "de", "fr"]
            await visitor.begin()
            await asyncio.sleep(0.1)
            visits.take(other.page, SetLanguage("language", "fr"))
            visits.take(visitor.page, SetLanguage("language", "es"))
            await asyncio.sleep(0.2)
            assert opened == ["en"]
            visits.take(visitor.page, SetLanguage("language", "de"))
            await asyncio.sleep(0.2)
            assert opened == ["en", "de"]
            assert visitor.last("hello")["language"] == "de"
            assert visitor.notices() == ["language"]
            assert visits.state == "inviting"

    virtual_time(main())


def test_a_language_without_models_is_taken_back(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        tried: list[str] = []

        @asynccontextmanager
        async def open_stages(language: str) -> AsyncIterator[Stages]:
            tried.append(language)
            if language == "de":
                raise EngineError("there is no German voice")
            yield scripted()

        visits = Visits(settings_of(languages="de"), Pages(), open_stages)
        running = asyncio.create_task(visits.run())
        await asyncio.sleep(0.01)
        visits.set_language("de")
        await asyncio.sleep(0.2)
        assert tried == ["en", "de", "en"]
        assert visits.state == "inviting"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_time(main())


def test_models_that_cannot_be_loaded_are_tried_again_ever_more_seldom(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        tried_s: list[float] = []

        @asynccontextmanager
        async def open_stages(_language: str) -> AsyncIterator[Stages]:
            tried_s.append(asyncio.get_running_loop().time())
            if len(tried_s) < 5:
                raise EngineError("no memory")
            yield scripted()

        visits = Visits(settings_of(), Pages(), open_stages)
        running = asyncio.create_task(visits.run())
        await asyncio.sleep(60.0)
        assert tried_s == pytest.approx([0, 1, 3, 7, 15])
        assert visits.state == "inviting"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_time(main())


def test_a_conversation_that_fails_is_followed_by_the_next(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        vads = iter([ScriptedVad(fail_at=FailAt(1, EngineError("broken"))) for _ in range(1)])
        async with open_kiosk(lambda: scripted(vad=next(vads, ScriptedVad()))) as (visits, _):
            visits.restart()
            await asyncio.sleep(0.1)
            visitor = Visitor(visits)
            await visitor.begin()
            await visitor.say(np.concatenate([silence(0.5), speech(1.0), silence(3.0)]))
            assert visits.outcomes == {"answered": 1}

    virtual_time(main())


def test_a_microphone_that_delivers_nothing_is_told(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            visitor = Visitor(visits)
            await visitor.begin()
            await asyncio.sleep(10.0)
            assert visitor.notices() == ["microphone"]

    virtual_time(main())


def test_an_old_page_is_told_to_reload(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        async with open_kiosk() as (visits, _):
            with pytest.raises(ProtocolError, match="reload"):
                visits.join(Page(1), Join("join", 7))

    virtual_time(main())


def test_the_sound_card_can_be_microphone_and_loudspeaker(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        opened: list[int] = []

        @asynccontextmanager
        async def open_card(rate_hz: int) -> AsyncIterator[Any]:
            opened.append(rate_hz)
            microphone = VirtualMicrophone(block_ms=10)
            microphone.play(speech(1.0), not_before_s=0.5)
            yield microphone, VirtualSpeaker(rate_hz, block_ms=10, output_latency_ms=20)

        async with open_kiosk(audio="card", open_card=open_card) as (visits, _):
            visitor = Visitor(visits)
            assert visitor.last("hello")["audio"] == "card"
            visits.take(visitor.page, Begin("begin"))
            await asyncio.sleep(6.0)
            assert opened == [RATE_HZ]
            assert visits.outcomes == {"answered": 1}
            assert visitor.last("over")["outcome"] == "answered"
            assert visitor.audio == 0
            visits.take(visitor.page, End("end"))
            await asyncio.sleep(0.2)
            assert visits.state == "inviting"

    virtual_time(main())


def test_speech_alone_begins_a_conversation_where_that_is_set(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        async with open_kiosk(start="speech", forget_after_s=5.0) as (visits, _):
            visitor = Visitor(visits)
            await visitor.begin()
            await visitor.say(np.concatenate([silence(20.0), speech(0.07), silence(2.0)]))
            # Nobody came, and a bang was no visitor: the page goes on to invite.
            assert visits.state == "inviting"
            assert visitor.notices() == []
            assert visits.visits == 0
            await visitor.say(np.concatenate([speech(1.0), silence(3.0)]))
            assert visits.outcomes["answered"] == 1
            assert visits.visits == 1
            assert visits.state == "listening"
            await visitor.say(silence(8.0))
            # It is forgotten, and the microphone stays on for the next one.
            assert visitor.notices() == ["forgotten"]
            assert visits.state == "inviting"
            assert visitor.last("seat")["seat"] == "yours"
            await visitor.say(np.concatenate([speech(1.0), silence(3.0)]))
            assert visits.visits == 2

    virtual_time(main())
