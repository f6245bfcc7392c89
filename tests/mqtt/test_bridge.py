"""The bridge without a broker: what it takes, what it drops, what it survives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mqtt_facts import FakeKiosk, a_closed_turn
from voicebot.config import MqttSettings
from voicebot.errors import ConfigError, EngineError, OutputError
from voicebot.events import StageFellBack, StageRecovered
from voicebot.mqtt import bridge as bridge_module
from voicebot.mqtt.bridge import MqttBridge
from voicebot.mqtt.connection import broker_address, connection_problem

pytest.importorskip("aiomqtt")

Run = Callable[[Coroutine[Any, Any, Any]], Any]
COMMAND = "voicebot/kiosk/command/"


def new_bridge(tmp_path: Path, kiosk: Any, **more: Any) -> MqttBridge:
    settings = MqttSettings(host="localhost", outbox_file=tmp_path / "outbox.sqlite", **more)
    return MqttBridge(settings, kiosk, clock=asyncio.get_running_loop().time)


def replies(bridge: MqttBridge) -> list[dict[str, Any]]:
    return [json.loads(one) for one in bridge._replies]


def fates(bridge: MqttBridge) -> dict[str, int]:
    return dict(bridge._health.commands)


async def carrying_out(bridge: MqttBridge, seconds: float) -> None:
    task = asyncio.create_task(bridge._carry_out_commands())
    await asyncio.sleep(seconds)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    bridge._outbox.close()


def test_a_flood_of_commands_is_limited_and_so_are_its_answers(
    tmp_path: Path, virtual_time: Run
) -> None:
    async def main() -> None:
        kiosk = FakeKiosk()
        bridge = new_bridge(tmp_path, kiosk)
        for _ in range(1000):
            bridge.take_command(COMMAND + "reset", b"{}", retained=False)
        await carrying_out(bridge, 1.0)
        assert len(kiosk.done) == 8
        assert fates(bridge) == {"too_many": 990, "busy": 2, "done": 8}
        assert len(replies(bridge)) == 10 + 8
        bridge.take_command(COMMAND + "reset", b"{}", retained=False)
        assert fates(bridge)["too_many"] == 990, "a second later there is room again"

    virtual_time(main())


def test_a_retained_command_is_never_carried_out(tmp_path: Path, virtual_time: Run) -> None:
    async def main() -> None:
        kiosk = FakeKiosk()
        bridge = new_bridge(tmp_path, kiosk)
        bridge.take_command(COMMAND + "restart", b"{}", retained=True)
        bridge.take_command("voicebot/other/command/restart", b"{}", retained=False)
        await carrying_out(bridge, 1.0)
        assert kiosk.done == []
        assert fates(bridge) == {"retained": 1}
        assert replies(bridge) == []

    virtual_time(main())


def test_a_command_that_hangs_or_fails_does_not_stop_the_next(
    tmp_path: Path, virtual_time: Run, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(FakeKiosk):
        async def reset(self) -> None:
            await asyncio.sleep(1e9)

        async def restart(self) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        kiosk = Odd()
        bridge = new_bridge(tmp_path, kiosk)
        for name, payload in (
            ("reset", b'{"id": "1"}'),
            ("restart", b'{"id": "2"}'),
            ("say", b'{"id": "3", "text": "Hello."}'),
        ):
            bridge.take_command(COMMAND + name, payload, retained=False)
        await carrying_out(bridge, 100.0)
        assert kiosk.done == [("say", "Hello.")]
        by_id = {one["id"]: one for one in replies(bridge)}
        assert by_id["1"]["error"] == "not done within 60 s"
        assert by_id["2"]["error"] == "failed; the kiosk's log tells more"
        assert by_id["3"]["ok"]

    virtual_time(main())
    assert "the command restart failed" in caplog.text


def test_a_fact_that_cannot_be_told_ends_nothing(
    tmp_path: Path, virtual_time: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        bridge = new_bridge(tmp_path, FakeKiosk())
        for _ in range(3):
            bridge.observe(a_closed_turn(timeline=None))
        bridge.observe(a_closed_turn(4))
        assert bridge.turns_in_memory == 1
        bridge._outbox.close()

    virtual_time(main())
    assert caplog.text.count("a fact could not be told") == 1


def test_a_stage_that_falls_back_is_told_to_staff(tmp_path: Path, virtual_time: Run) -> None:
    async def main() -> None:
        bridge = new_bridge(tmp_path, FakeKiosk())
        bridge.observe(StageFellBack("synthesis", "espeak", EngineError("no server")))
        bridge.observe(StageRecovered("synthesis"))
        kinds = [json.loads(one)["kind"] for one in bridge._notices]
        assert kinds == ["stage_fell_back", "stage_recovered"]
        assert "espeak: no server" in bridge._notices[0]
        bridge._outbox.close()

    virtual_time(main())


def test_what_nobody_fetches_is_bounded_and_counted(tmp_path: Path, virtual_time: Run) -> None:
    async def main() -> None:
        bridge = new_bridge(tmp_path, FakeKiosk(), transcripts=True)
        for turn in range(1500):
            bridge.observe(a_closed_turn(turn))
            bridge.tell_notice("loop_stalled", "late")
        assert bridge.turns_in_memory == 1000
        assert bridge.counts.turns_lost == 500
        assert bridge.counts.messages_dropped == 1480 + 1400
        bridge._outbox.close()

    virtual_time(main())


def test_a_full_disk_loses_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge_module, "_OUTBOX_RETRY_S", 0.01)

    async def main() -> None:
        bridge = new_bridge(tmp_path, FakeKiosk())
        put, failures = bridge._outbox.put, iter(range(3))

        def put_if_there_is_room(body: str) -> None:
            if next(failures, None) is not None:
                raise OutputError("the disk is full")
            put(body)

        monkeypatch.setattr(bridge._outbox, "put", put_if_there_is_room)
        running = asyncio.create_task(bridge._store_turns())
        for turn in range(20):
            bridge.observe(a_closed_turn(turn))
        async with asyncio.timeout(5.0):
            while bridge.outbox_counts.waiting < 20:  # noqa: ASYNC110 - the thread tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
        turns = [json.loads(turn.body)["turn"] for turn in bridge._outbox.first(50)]
        assert turns == list(range(20))
        bridge._outbox_thread.shutdown()
        bridge._outbox.close()

    asyncio.run(main())
    assert caplog.text.count("the disk is full") == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"ca_file": Path("ca.pem")}, "mqtt.tls is false"),
        ({"tls": True, "client_key_file": Path("key.pem")}, "without its key"),
        ({"password_variable": "NOT_SET"}, "no user"),
        ({"user": "me", "password_variable": "NOT_SET"}, "which is not set"),
        ({"tls": True, "ca_file": Path("missing.pem")}, "no such file"),
        ({"tls": True, "ca_file": Path(__file__)}, "cannot be used"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(
    settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        broker_address(MqttSettings(host="localhost", **settings), {})


def test_a_password_in_the_clear_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    chosen = {"user": "me", "password_variable": "THERE"}
    environment = {"THERE": "the-password"}
    broker_address(MqttSettings(host="localhost", **chosen), environment)
    assert caplog.text == ""
    address = broker_address(MqttSettings(host="broker.example", **chosen), environment)
    assert "in the clear" in caplog.text
    assert "the-password" not in caplog.text
    assert address.port == 1883
    assert "the-password" not in connection_problem(OSError("no route"), address)
