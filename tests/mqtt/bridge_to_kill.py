"""A process that puts turns into the outbox and bridges, for the test that kills it.

bridge_to_kill.py PORT OUTBOX FIRST COUNT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from mqtt_facts import FakeKiosk, a_closed_turn
from voicebot.config import MqttSettings
from voicebot.mqtt.bridge import MqttBridge
from voicebot.mqtt.outbox import Outbox
from voicebot.mqtt.payloads import turn_body
from voicebot.telemetry.turn_facts import turn_facts


async def main() -> None:
    port, outbox, first, count = sys.argv[1:]
    settings = MqttSettings(
        host="127.0.0.1", port=int(port), outbox_file=Path(outbox), kiosk_id="door"
    )
    waiting = Outbox(settings.outbox_file, max_turns=settings.outbox_max_turns)
    for turn in range(int(first), int(first) + int(count)):
        facts = turn_facts(a_closed_turn(turn), clock_offset_s=0.0, with_words=False)
        waiting.put(turn_body(facts))
    waiting.close()
    await MqttBridge(settings, FakeKiosk()).run()


asyncio.run(main())
