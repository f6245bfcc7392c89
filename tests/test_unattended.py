"""The parts of an unattended kiosk together: a stage hangs, and staff read of it over MQTT."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from conversations import scripted, speech
from mqtt_brokers import Broker, needs_broker
from mqtt_facts import FakeKiosk
from mqtt_listener import bridging, listening
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.config import MqttSettings
from voicebot.engines.scripted import FailAt, ScriptedTts
from voicebot.errors import EngineError, NewProcessWantedError
from voicebot.events import TurnClosed
from voicebot.history import History
from voicebot.mqtt.bridge import MqttBridge
from voicebot.session import Session, SessionRules
from voicebot.supervision.conversation_keeper import ConversationKeeper
from voicebot.supervision.facts import ConversationForgotten, SupervisionFact, fact_kind
from voicebot.supervision.microphone_watch import WatchedSource
from voicebot.supervision.patience import Patience
from voicebot.supervision.process_end import ProcessEnd
from voicebot.supervision.restart_policy import RestartPolicy, RestartRules
from voicebot.supervision.stage_supervisor import EngineInstance, StageSupervisor
from voicebot.supervision.supervised_stages import SupervisedTts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.events import Event

pytestmark = needs_broker


ANSWER = "That is a good question. I think it is so."


def supervised_voice(tell: Callable[[SupervisionFact], None]) -> StageSupervisor[Any]:
    """A voice that hangs at once; its successor hangs after the two clauses of an answer."""
    voices = [
        ScriptedTts(fail_at=FailAt(1, None)),
        ScriptedTts(fail_at=FailAt(3, None)),
    ]

    async def close() -> None: ...

    def instance() -> EngineInstance[Any]:
        return EngineInstance(voices.pop(0), lambda: None, lambda: True, close)

    async def build() -> EngineInstance[Any]:
        return instance()

    return StageSupervisor(
        "synthesis",
        instance(),
        build,
        policy=RestartPolicy(RestartRules(hung_threads_max=1)),
        patience=Patience(shortest_s=0.5, longest_s=0.5),
        notify=tell,
    )


async def converse(bridge: MqttBridge) -> None:
    """A visitor asks and leaves; then the voice hangs for good."""
    microphone = VirtualMicrophone(block_ms=10)
    history = History("", max_tokens=1000)
    events: list[Event] = []

    def tell(fact: SupervisionFact) -> None:
        bridge.tell_notice(fact_kind(fact), fact.line)
        end.observe(fact)
        if isinstance(fact, ConversationForgotten):
            bridge.tell_forgotten()
            microphone.close()

    def observe(event: Event) -> None:
        events.append(event)
        bridge.observe(event)
        keeper.observe(event)

    supervisor = supervised_voice(tell)
    voice = SupervisedTts(supervisor)
    session = Session(
        WatchedSource(microphone, dead_after_s=60.0, notify=tell),
        VirtualSpeaker(16_000, block_ms=10, output_latency_ms=20.0),
        scripted(tts=voice),
        history=history,
        rules=SessionRules(),
        notify=observe,
    )
    end = ProcessEnd(is_idle=lambda: session.is_idle)
    keeper = ConversationKeeper(
        history, forget_after_s=1.0, is_idle=lambda: session.is_idle, notify=tell
    )
    keeping = asyncio.create_task(keeper.run())
    microphone.play(speech(0.6))
    async with asyncio.timeout(20.0):
        await session.run()
    keeping.cancel()
    assert history.exchanges == ()
    assert [event.heard for event in events if isinstance(event, TurnClosed)] == [ANSWER]
    with pytest.raises(EngineError, match="no sign of life"):
        await anext(voice.synthesise("again"))
    with pytest.raises(NewProcessWantedError):
        await end.run()
    await supervisor.close()


def test_staff_read_of_what_happens_to_a_kiosk_that_is_left_alone(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()

    async def main() -> None:
        settings = MqttSettings(
            host="127.0.0.1", port=broker.port, outbox_file=tmp_path / "outbox", kiosk_id="door"
        )
        async with listening(broker.port) as staff:
            bridge = MqttBridge(settings, FakeKiosk())
            async with bridging(bridge):
                await staff.until(lambda: staff.of("state"))
                await converse(bridge)
                await staff.until(lambda: len(staff.of("notice")) >= 3)
                bridge.tell_health_now()
                await staff.until(lambda: json.loads(staff.of("health")[-1])["turns"] == 1)
        kinds = [json.loads(one)["kind"] for one in staff.of("notice")]
        assert kinds == ["stage_replaced", "conversation_forgotten", "new_process_wanted"]
        assert json.loads(staff.of("turn")[0])["outcome"] == "answered"
        assert staff.of("state")[-1] == "idle"

    try:
        asyncio.run(main())
    finally:
        broker.stop()
