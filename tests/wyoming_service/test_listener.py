"""The service with scripted engines: good clients, bad clients, many clients."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import async_read_event, async_write_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeVoice,
)

from voicebot.choice import StageChoice
from voicebot.engines.protocols import SpeechChunk, Transcript
from voicebot.engines.server_url import HostAndPort
from voicebot.errors import EngineError
from voicebot.wyoming_service.access import AccessRules
from voicebot.wyoming_service.client_connection import Patience, Services
from voicebot.wyoming_service.engine_pool import EnginePool
from voicebot.wyoming_service.listener import Listener
from voicebot.wyoming_service.offer import recognition_offer, synthesis_offer
from voicebot.wyoming_service.synthesis import SynthesisRules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from wyoming.event import Event, Eventable

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import StopFlag

RATE_HZ = 16_000
SECOND = bytes(2 * RATE_HZ)


@dataclass
class CountingAsr:
    """Understands one word a second, and tells how many at once were heard."""

    fails: bool = False
    turns: list[float] = field(default_factory=list)
    heard_s: float = 0.0
    is_closed: bool = False

    def start(self) -> None:
        self.heard_s = 0.0

    def feed(self, samples: Samples) -> Transcript | None:
        if self.fails:
            raise EngineError("the ear is off")
        self.heard_s += len(samples) / RATE_HZ
        return Transcript(self._text(), final=False)

    def finish(self) -> Transcript:
        self.turns.append(self.heard_s)
        return Transcript(self._text(), final=True)

    def _text(self) -> str:
        return " ".join(f"word{index}" for index in range(int(self.heard_s)))

    def close(self) -> None:
        self.is_closed = True


@dataclass
class NotingTts:
    """Speaks 0.1 s a clause."""

    texts: list[str] = field(default_factory=list)
    fails: bool = False
    pause_s: float = 0.0

    @property
    def sample_rate_hz(self) -> int:
        return RATE_HZ

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        if self.fails:
            raise EngineError("the mouth is off")
        self.texts.append(text)
        time.sleep(self.pause_s)
        yield SpeechChunk(np.full(RATE_HZ // 10, 0.5, np.float32))

    def close(self) -> None: ...


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *events: Eventable) -> None:
        for event in events:
            await async_write_event(event.event(), self.writer)

    async def receive(self) -> Event | None:
        async with asyncio.timeout(10):
            return await async_read_event(self.reader)

    async def until(self, kind: str) -> list[Event]:
        events: list[Event] = []
        while not events or events[-1].type != kind:
            event = await self.receive()
            assert event is not None, f"closed before {kind}"
            events.append(event)
        return events

    def close(self) -> None:
        self.writer.transport.abort()


class Service:
    """A running service with one engine of each kind."""

    def __init__(self, **options: Any) -> None:
        self.asr = CountingAsr()
        self.tts = NotingTts()
        self.options = options
        self.access = options.pop("access", AccessRules())
        self.clients: list[Client] = []

    async def __aenter__(self) -> Self:
        self.asrs: EnginePool[Any] = EnginePool(
            "recognition", lambda: self.asr, 1, stage_timeout_s=5
        )
        self.ttss: EnginePool[Any] = EnginePool("synthesis", lambda: self.tts, 1, stage_timeout_s=5)
        await self.asrs.load()
        await self.ttss.load()
        services = Services(
            recognition_offer(StageChoice("pocketsphinx", "pocketsphinx-en-us"), "en"),
            self.asrs,
            synthesis_offer(StageChoice("espeak", "espeak-ng"), "en-us", "en"),
            self.ttss,
            SynthesisRules(RATE_HZ, "en", 220),
        ).only(self.options.pop("kind", "both"))
        self.listener = Listener(services, self.access, **self.options)
        self.address = await self.listener.open(HostAndPort("127.0.0.1", 0))
        return self

    async def __aexit__(self, *raised: object) -> None:
        for client in self.clients:
            client.close()
        await self.listener.close()
        await self.asrs.close()
        await self.ttss.close()
        await asyncio.sleep(0.02)

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection(*self.address))
        self.clients.append(client)
        return client


def serve(work: Callable[[Service], Awaitable[None]], **options: Any) -> Service:
    service = Service(**options)

    async def main() -> None:
        async with asyncio.timeout(30):
            async with service:
                await work(service)

    asyncio.run(main())
    return service


def chunk(data: bytes = SECOND) -> AudioChunk:
    return AudioChunk(RATE_HZ, 2, 1, audio=data)


async def transcribed(client: Client, seconds: int) -> list[Event]:
    await client.send(Transcribe(language="en"), AudioStart(RATE_HZ, 2, 1))
    for _ in range(seconds):
        await client.send(chunk())
    await client.send(AudioStop())
    return await client.until("transcript-stop")


def test_it_says_what_it_offers() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(Ping("you there?"), Describe())
        pong, info_event = await client.receive(), await client.receive()
        assert pong is not None
        assert pong.data == {"text": "you there?"}
        assert info_event is not None
        info = Info.from_event(info_event)
        (asr,), (tts,) = info.asr, info.tts
        assert asr.supports_transcript_streaming
        assert tts.supports_synthesize_streaming
        assert asr.models[0].name == "pocketsphinx-en-us"
        assert asr.models[0].languages
        assert tts.voices[0].name == "espeak-en-us"
        for offered in (asr, tts, asr.models[0], tts.voices[0]):
            assert offered.installed
            assert offered.version
            assert offered.attribution.name
            assert offered.attribution.url.startswith("https://")

    serve(work)


@pytest.mark.parametrize("kind", ["asr", "tts"])
def test_a_port_of_one_kind_offers_only_that(kind: str) -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(Describe())
        event = await client.receive()
        assert event is not None
        info = Info.from_event(event)
        assert bool(info.asr) == (kind == "asr")
        assert bool(info.tts) == (kind == "tts")
        # What it does not offer is passed over, and what it offers still works.
        await client.send(Synthesize("Hello."), AudioStart(RATE_HZ, 2, 1), chunk(), AudioStop())
        await client.until("transcript-stop" if kind == "asr" else "audio-stop")

    serve(work, kind=kind)


def test_the_transcript_is_streamed_and_repeated_whole() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        for _ in range(2):
            events = await transcribed(client, 4)
            kinds = [event.type for event in events]
            assert kinds[0] == "transcript-start"
            assert kinds[-2:] == ["transcript", "transcript-stop"]
            chunks = [e.data["text"] for e in events if e.type == "transcript-chunk"]
            assert len(chunks) > 1
            assert "".join(chunks) == events[-2].data["text"] == "word0 word1 word2 word3"

    serve(work)


def test_other_rates_and_channels_are_heard_alike() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(AudioStart(48_000, 4, 2))
        await client.send(AudioChunk(48_000, 4, 2, audio=bytes(48_000 * 8 * 3)), AudioStop())
        events = await client.until("transcript")
        assert events[-1].data["text"] in {"word0 word1", "word0 word1 word2"}

    service = serve(work)
    assert service.asr.turns == [pytest.approx(3.0, abs=0.01)]


@pytest.mark.parametrize("streams", [False, True])
def test_text_is_spoken_clause_by_clause(*, streams: bool) -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        text = "Hello there, it costs $5. **Good** morning to you."
        if streams:
            await client.send(SynthesizeStart())
            for at in range(0, len(text), 7):
                await client.send(SynthesizeChunk(text[at : at + 7]))
            await client.send(Synthesize(text), SynthesizeStop())
            events = await client.until("synthesize-stopped")
            assert events.pop().type == "synthesize-stopped"
        else:
            await client.send(Synthesize(text))
            events = await client.until("audio-stop")
        kinds = [event.type for event in events]
        assert kinds[0] == "audio-start"
        assert kinds[-1] == "audio-stop"
        assert set(kinds[1:-1]) == {"audio-chunk"}
        assert sum(len(event.payload or b"") for event in events) == 3200 * len(service.tts.texts)

    service = serve(work)
    assert " ".join(service.tts.texts) == (
        "Hello there, it costs five dollars. Good morning to you."
    )


def test_text_without_words_is_answered_by_silence() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(Synthesize("…"))
        assert [e.type for e in await client.until("audio-stop")] == ["audio-start", "audio-stop"]

    serve(work)


def test_clients_wait_their_turn_and_lose_nothing() -> None:
    async def work(service: Service) -> None:
        first, second = await service.client(), await service.client()
        await first.send(AudioStart(RATE_HZ, 2, 1), chunk())
        await first.until("transcript-start")
        waiting = asyncio.create_task(transcribed(second, 3))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await first.send(chunk(), AudioStop())
        events = await first.until("transcript")
        assert events[-1].data["text"] == "word0 word1"
        events = await waiting
        assert events[-2].data["text"] == "word0 word1 word2"

    serve(work)


def test_a_long_text_lets_others_speak_in_between() -> None:
    async def work(service: Service) -> None:
        service.tts.pause_s = 0.02
        talker, other = await service.client(), await service.client()
        await talker.send(Synthesize("This is a sentence of some length. " * 40))
        await talker.until("audio-chunk")
        await other.send(Synthesize("May I?"))
        await other.until("audio-stop")
        await talker.until("audio-stop")

    service = serve(work)
    assert service.tts.texts.index("May I?") < len(service.tts.texts) - 5


@pytest.mark.parametrize("leaves_at", ["audio", "waiting", "speech"])
def test_a_client_that_disappears_frees_the_engine(leaves_at: str) -> None:
    async def work(service: Service) -> None:
        gone = await service.client()
        if leaves_at == "speech":
            service.tts.pause_s = 0.02
            await gone.send(Synthesize("This is a sentence of some length. " * 100))
            await gone.until("audio-chunk")
        else:
            await gone.send(AudioStart(RATE_HZ, 2, 1), chunk())
            await gone.until("transcript-start")
        if leaves_at == "waiting":
            holder, gone = gone, await service.client()
            await gone.send(AudioStart(RATE_HZ, 2, 1), chunk())
            await asyncio.sleep(0.05)
            holder.close()
        gone.close()
        client = await service.client()
        assert (await transcribed(client, 1))[-2].data["text"] == "word0"
        await client.send(Synthesize("Hello."))
        await client.until("audio-stop")

    serve(work)


def test_a_client_that_falls_silent_in_a_request_is_dropped() -> None:
    async def work(service: Service) -> None:
        silent, patient = await service.client(), await service.client()
        await silent.send(AudioStart(RATE_HZ, 2, 1), chunk())
        await silent.until("transcript-start")
        events = await transcribed(patient, 1)
        assert events[-2].data["text"] == "word0"
        assert await silent.receive() is None

    serve(work, patience=Patience(in_request_s=0.3))


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"type": 5}\n',
        b'{"type": "synthesize", "data": []}\n',
        b'{"type": "synthesize", "data": {"text": 5}}\n',
        b'{"type": "describe", "data_length": "many"}\n',
        b'{"type": "describe", "data_length": 4}\n1234',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "audio-chunk", "payload_length": -5}\n',
        b'{"type": "audio-chunk", "payload_length": true}\n',
        b"[" * 100_000 + b"\n",
        b"x" * 3_000_000,
    ],
    ids=lambda garbage: garbage[:30].decode(errors="replace"),
)
def test_nonsense_is_answered_by_an_error_and_costs_nobody_else(garbage: bytes) -> None:
    async def work(service: Service) -> None:
        bad, good = await service.client(), await service.client()
        bad.writer.write(garbage)
        # What was not read when the service closed may make a reset of it.
        with suppress(ConnectionError):
            event = await bad.receive()
            assert event is not None
            assert event.type == "error"
            assert await bad.receive() is None
        assert (await transcribed(good, 1))[-2].data["text"] == "word0"

    serve(work)


def test_half_an_event_and_good_bye() -> None:
    async def work(service: Service) -> None:
        for half in (b'{"type": "desc', b'{"type": "audio-chunk", "payload_length": 100}\n12'):
            bad = await service.client()
            bad.writer.write(half)
            bad.writer.write_eof()
            assert await bad.receive() is None
        assert (await transcribed(await service.client(), 1))[-2].data["text"] == "word0"

    serve(work)


@pytest.mark.parametrize(
    "start",
    [
        AudioStart(0, 2, 1),
        AudioStart(16_000, 3, 1),
        AudioStart(16_000, 2, 0),
        AudioStart(10**9, 2, 1),
        AudioStart("loud", 2, 1),  # type: ignore[arg-type]
    ],
)
def test_audio_of_no_use_is_an_error_and_the_client_may_go_on(start: AudioStart) -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(start, chunk(), AudioStop())
        events = await client.until("error")
        assert "cannot be used" in events[-1].data["text"]
        assert (await transcribed(client, 1))[-2].data["text"] == "word0"

    serve(work)


def test_events_out_of_order_are_passed_over() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(AudioStop(), chunk(), SynthesizeStop(), SynthesizeChunk("x"))
        client.writer.write(b'{"type": "run-pipeline", "data": {"start_stage": "wake"}}\n')
        await client.send(AudioStart(RATE_HZ, 2, 1), AudioStart(RATE_HZ, 2, 1))
        assert (await transcribed(client, 1))[-2].data["text"] == "word0"

    serve(work)


def test_an_engine_that_fails_is_an_error_and_the_next_request_works() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        service.asr.fails = service.tts.fails = True
        await client.send(AudioStart(RATE_HZ, 2, 1), chunk(), chunk(), AudioStop())
        assert (await client.until("error"))[-1].data["text"] == "the ear is off"
        await client.send(Synthesize("Hello."))
        assert (await client.until("error"))[-1].data["text"] == "the mouth is off"
        service.asr.fails = service.tts.fails = False
        assert (await transcribed(client, 1))[-2].data["text"] == "word0"
        await client.send(Synthesize("Hello."))
        await client.until("audio-stop")

    serve(work)


def test_what_is_too_long_is_refused() -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(Synthesize("a " * 20_000))
        assert "longer than" in (await client.until("error"))[-1].data["text"]
        await client.send(Synthesize("Hello."))
        await client.until("audio-stop")

    serve(work)


def test_too_many_clients_are_told_so() -> None:
    async def work(service: Service) -> None:
        first = await service.client()
        assert (await transcribed(first, 1))[-2].data["text"] == "word0"
        second = await service.client()
        event = await second.receive()
        assert event is not None
        assert event.data["code"] == "busy"
        first.close()
        await asyncio.sleep(0.1)
        assert (await transcribed(await service.client(), 1))[-2].data["text"] == "word0"

    serve(work, most_clients=1)


def test_closing_ends_all_clients() -> None:
    clients: list[Client] = []

    async def work(service: Service) -> None:
        for _ in range(3):
            client = await service.client()
            await client.send(AudioStart(RATE_HZ, 2, 1), chunk())
            clients.append(client)
        await clients[0].until("transcript-start")

    service = serve(work)
    assert service.asr.is_closed


def test_a_stranger_is_turned_away() -> None:
    class Nobody(AccessRules):
        def admits(self, address: str) -> bool:
            assert address == "127.0.0.1"
            return False

    async def work(service: Service) -> None:
        assert await (await service.client()).receive() is None

    serve(work, access=Nobody())


@pytest.mark.parametrize(
    "event",
    [
        Transcribe(language="de"),
        Transcribe(name="other"),
        Synthesize("hello", voice=SynthesizeVoice(name="bert")),
        SynthesizeStart(voice=SynthesizeVoice(language="fr")),
    ],
)
def test_what_is_not_on_offer_is_answered_by_an_error_and_the_client_stays(event: Any) -> None:
    async def work(service: Service) -> None:
        client = await service.client()
        await client.send(event)
        answer = await client.receive()
        assert answer is not None
        assert answer.type == "error"
        await client.send(Ping("still there?"))
        pong = await client.receive()
        assert pong is not None
        assert pong.type == "pong"

    serve(work)
