"""The kiosk with all that was joined to it: page, message bus, supervision."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from kiosk_server import settings_of
from test_visits import Visitor

from conversations import scripted, silence, speech
from mqtt_brokers import MOSQUITTO, Broker
from voicebot.cascade import EngineFactories
from voicebot.config import MqttSettings, SupervisionSettings
from voicebot.engines.protocols import Prefilled, TextPiece
from voicebot.kiosk.pages import Pages
from voicebot.kiosk.visits import Visits
from voicebot.supervision.running import running_supervised_stages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mqtt_listener import Listener
    from voicebot.stages import Stages

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="no Mosquitto here")

ANSWER = "On the second floor."


class Engine:
    """Every engine in one, as supervision loads them; only its language model is asked.

    Args:
        freed: hangs until it is set; None hangs never.
    """

    frame_samples = 512
    window_s = 8.0
    sample_rate_hz = 16_000

    def __init__(self, freed: threading.Event | None = None) -> None:
        self._freed = freed

    def prepare(self, *_: Any, **__: Any) -> Prefilled | None:
        return None

    def generate(self, *_: Any) -> Iterator[Prefilled | TextPiece]:
        if self._freed is not None:
            self._freed.wait(20.0)
        yield Prefilled(None, 10, 0)
        yield TextPiece(ANSWER, 5)

    def close(self) -> None: ...


def factories(llm: Callable[[], Any]) -> EngineFactories:
    every: Any = Engine
    return EngineFactories(vad=every, turn_detector=every, asr=every, llm=llm, tts=every)


@asynccontextmanager
async def joined_kiosk(
    port: int, folder: Path, llm: Callable[[], Any]
) -> AsyncIterator[tuple[Visits, Visitor]]:
    supervision = SupervisionSettings(stuck_after_s=0.2)
    mqtt = MqttSettings(
        host="127.0.0.1", port=port, kiosk_id="door", outbox_file=folder / "outbox.sqlite"
    )
    settings = settings_of().model_copy(update={"mqtt": mqtt, "supervision": supervision})

    @asynccontextmanager
    async def open_stages(_language: str) -> AsyncIterator[Stages]:
        async with running_supervised_stages(
            factories(llm), supervision, stage_timeout_s=1.0, notify=visits.tell_fact
        ) as stages:
            yield scripted(llm=stages.llm)

    visits = Visits(settings, Pages(), open_stages)
    running = asyncio.create_task(visits.run())
    try:
        async with asyncio.timeout(10):
            while visits.state != "inviting":  # noqa: ASYNC110  # a plain question
                await asyncio.sleep(0.01)
        yield visits, Visitor(visits)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def reply_to(listener: Listener, name: str, **fields: Any) -> dict[str, Any]:
    command_id = f"{name} {len(listener.heard)}"
    await listener.command(name, {"id": command_id, **fields})

    def replies() -> list[dict[str, Any]]:
        return [one for one in map(json.loads, listener.of("reply")) if one["id"] == command_id]

    await listener.until(replies)
    return replies()[-1]


async def play(visitor: Visitor) -> None:
    """The page tells of its playback and sends room noise, on and on."""
    while True:
        visitor.report()
        await visitor.say(silence(0.1))


def test_the_bus_sees_a_visit_and_steers_it(tmp_path: Path) -> None:
    from mqtt_listener import listening  # noqa: PLC0415  # needs aiomqtt

    async def main() -> None:
        async with (
            listening(broker.port) as listener,
            joined_kiosk(broker.port, tmp_path, Engine) as kiosk,
        ):
            visits, visitor = kiosk
            await listener.until(lambda: listener.of("controls"))
            assert not (await reply_to(listener, "ask", text="where?"))["ok"]  # nobody is there
            await visitor.begin()
            await visitor.say(speech(1.0))
            playing = asyncio.create_task(play(visitor))
            await listener.until(lambda: listener.of("turn"))
            assert {"listening", "speaking"} <= set(listener.of("state"))

            assert (await reply_to(listener, "say", text="We close soon."))["ok"]
            captions = [one for one in visitor.read() if "We close soon." in json.dumps(one)]
            assert captions
            asked = await reply_to(listener, "ask", text="where?")
            assert asked["result"] == ANSWER
            assert (await reply_to(listener, "mute", muted=True))["ok"]
            assert visits.is_muted
            assert (await reply_to(listener, "volume", percent=30))["ok"]
            assert visitor.last("volume")["percent"] == 30
            controls = json.loads(listener.of("controls")[-1])
            assert controls["muted"]
            assert controls["volume_percent"] == 30
            other = "embedded" if controls["profile"] != "embedded" else "gpu"
            assert not (await reply_to(listener, "profile", profile=other))["ok"]
            assert (await reply_to(listener, "reset"))["ok"]
            await listener.until(lambda: visits.state == "inviting")
            assert "goodbye" in visitor.notices()
            playing.cancel()

    broker = Broker(tmp_path)
    broker.start()
    try:
        asyncio.run(main())
    finally:
        broker.stop()


def test_a_stage_that_hangs_is_replaced_and_the_page_stays(tmp_path: Path) -> None:
    from mqtt_listener import listening  # noqa: PLC0415  # needs aiomqtt

    freed = threading.Event()
    made: list[Engine] = []

    def llm() -> Engine:
        made.append(Engine(None if made else freed))
        return made[-1]

    async def main() -> None:
        async with (
            listening(broker.port) as listener,
            joined_kiosk(broker.port, tmp_path, llm) as (visits, visitor),
        ):
            await listener.until(lambda: listener.of("controls"))
            await visitor.begin()
            playing = asyncio.create_task(play(visitor))
            await listener.until(lambda: visits.session)
            asked = await reply_to(listener, "ask", text="where?")
            assert asked["result"] == ANSWER
            await listener.until(lambda: listener.of("notice"))
            notice = json.loads(listener.of("notice")[0])
            assert notice["kind"] == "stage_replaced"
            assert visits.session is not None
            playing.cancel()

    broker = Broker(tmp_path)
    broker.start()
    try:
        asyncio.run(main())
    finally:
        freed.set()
        broker.stop()
