"""The bridge against a real Mosquitto: what it tells, what it takes, and what may go wrong."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mqtt_brokers import Broker, make_certificates, needs_broker
from mqtt_facts import FakeKiosk, a_closed_turn
from mqtt_listener import Listener, bridging, listening
from voicebot.config import MqttSettings
from voicebot.mqtt.bridge import MqttBridge
from voicebot.mqtt.connection import broker_address

if TYPE_CHECKING:
    from collections.abc import Iterator

aiomqtt = pytest.importorskip("aiomqtt")
pytestmark = needs_broker

HERE = Path(__file__).parent
PASSWORD_VARIABLE = {"password_variable": "KIOSK_PASSWORD"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path)
    one.start()
    yield one
    one.stop()


def settings(tmp_path: Path, port: int, **more: Any) -> MqttSettings:
    given = {"host": "127.0.0.1", "kiosk_id": "door", **more}
    return MqttSettings(port=port, outbox_file=tmp_path / "outbox.sqlite", **given)


def soon(_: object = None) -> float:
    return 0.0  # the shortest waits between attempts


def sequences(listener: Listener) -> list[int]:
    return [json.loads(payload)["sequence"] for payload in listener.of("turn")]


def read_once(numbers: list[int]) -> list[int]:
    """What the documentation tells a reader to do: skip a number that is not above the last."""
    kept: list[int] = []
    for number in numbers:
        if not kept or number > kept[-1]:
            kept.append(number)
    return kept


def test_a_kiosk_is_announced_and_says_goodbye(broker: Broker, tmp_path: Path) -> None:
    async def main() -> None:
        kiosk = FakeKiosk()
        async with listening(broker.port) as listener:
            bridge = MqttBridge(settings(tmp_path, broker.port, transcripts=True), kiosk)
            async with bridging(bridge):
                bridge.tell_controls(kiosk.state)
                bridge.observe(a_closed_turn(7))
                bridge.tell_notice("stage", "the synthesis stage was replaced")
                logging.getLogger("voicebot.somewhere").warning("a line of the log")
                await listener.until(
                    lambda: all(
                        listener.of(name)
                        for name in ("turn", "transcript", "notice", "health", "state", "controls")
                    )
                )
            await listener.until(lambda: listener.of("availability")[-1:] == ["offline"])
        assert listener.of("availability") == ["online", "offline"]
        turn = json.loads(listener.of("turn")[0])
        assert (turn["turn"], turn["latency_ms"], turn["outcome"]) == (7, 221.0, "answered")
        assert "what time" not in listener.of("turn")[0]
        assert json.loads(listener.of("transcript")[0])["transcript"] == "what time is it"
        discovery = json.loads(listener.of("config")[0])
        assert discovery["components"]["mute"]["command_topic"] == "voicebot/door/command/mute"
        # Who comes later is told by the broker what was retained, and nothing else.
        async with listening(broker.port) as late:
            await late.until(lambda: len(late.heard) >= 5)
            await asyncio.sleep(0.1)
        assert {topic for topic, _, retained in late.heard if retained} == {
            "voicebot/door/availability",
            "voicebot/door/state",
            "voicebot/door/health",
            "voicebot/door/controls",
            "homeassistant/device/voicebot_door/config",
        }
        assert len(late.heard) == 5

    asyncio.run(main())


def test_commands_are_carried_out_and_answered(broker: Broker, tmp_path: Path) -> None:
    async def main() -> None:
        kiosk = FakeKiosk()
        async with listening(broker.port) as listener:
            # A retained order of the past must never be carried out.
            await listener.command("restart", {}, retain=True)
            bridge = MqttBridge(settings(tmp_path, broker.port), kiosk)
            async with bridging(bridge):
                await listener.until(lambda: listener.of("state"))
                await listener.command("ask", {"id": "a1", "text": "How are you?"})
                await listener.command("volume", {"id": "v1", "percent": 140})
                await listener.command("profile", {"id": "p1", "profile": "gpu"})
                await listener.command("dance", {"id": "d1"})
                await listener.command("mute", {"id": "m1", "muted": True})
                await listener.command("say", b"\xff\xfe not json")
                await listener.command("say", json.dumps({"text": "x" * 10_000}))
                await listener.command("say", "y" * 200_000)
                await listener.command("reset", "")
                await listener.until(lambda: len(listener.of("reply")) >= 6)
                bridge.tell_health_now()
                await listener.until(lambda: "malformed" in listener.of("health")[-1])
            replies = {
                one["id"] or one["command"]: one for one in map(json.loads, listener.of("reply"))
            }
        assert kiosk.done == [("ask", "How are you?"), ("mute", True), ("reset",)]
        assert replies["a1"]["result"] == "you asked: How are you?"
        assert replies["m1"]["ok"]
        assert "percent" in replies["v1"]["error"]
        assert replies["p1"]["error"] == "there is no GPU: choose cpu"
        assert "no such command" in replies["d1"]["error"]
        commands = json.loads(listener.of("health")[-1])["commands"]
        # The message of 200,000 bytes is kept away by the broker, as the connection asks.
        assert (commands["huge"], commands["malformed"], commands["retained"]) == (1, 1, 1)

    asyncio.run(main())


def test_turns_wait_for_a_broker_that_restarts(broker: Broker, tmp_path: Path) -> None:
    async def main() -> None:
        bridge = MqttBridge(settings(tmp_path, broker.port), FakeKiosk(), chance=soon)
        async with bridging(bridge):
            async with listening(broker.port, session="staff") as before:
                for turn in range(1, 6):
                    bridge.observe(a_closed_turn(turn))
                await before.until(lambda: len(sequences(before)) == 5)
            await asyncio.to_thread(broker.stop)
            for turn in range(6, 16):
                bridge.observe(a_closed_turn(turn))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(broker.start)
            async with listening(broker.port, session="staff") as after:
                bridge.observe(a_closed_turn(16))
                await after.until(lambda: 16 in sequences(after))
                await asyncio.sleep(0.2)
        assert sequences(before) == [1, 2, 3, 4, 5]
        # The broker may tell the listener again what it had not confirmed when it left.
        assert read_once([*sequences(before), *sequences(after)]) == list(range(1, 17))
        assert sequences(after)[-11:] == list(range(6, 17))
        turns = [json.loads(one)["turn"] for one in after.of("turn")]
        assert turns[-11:] == list(range(6, 17))
        assert bridge.counts.connections == 2

    asyncio.run(main())


def test_a_broker_that_freezes_for_a_while_gets_every_turn_once(
    broker: Broker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with (
            listening(broker.port) as listener,
            bridging(MqttBridge(settings(tmp_path, broker.port), FakeKiosk())) as bridge,
        ):
            bridge.observe(a_closed_turn(1))
            await listener.until(lambda: len(sequences(listener)) == 1)
            broker.signal(signal.SIGSTOP)
            try:
                began_s = asyncio.get_running_loop().time()
                for turn in range(2, 31):
                    bridge.observe(a_closed_turn(turn))
                    bridge.take_command("voicebot/door/command/reset", b"{}", retained=False)
                    await asyncio.sleep(0.02)
                assert bridge.turns_in_memory < 29, "they go into the outbox meanwhile"
                assert asyncio.get_running_loop().time() - began_s < 5.0
            finally:
                broker.signal(signal.SIGCONT)
            await listener.until(lambda: len(sequences(listener)) >= 30)
            await asyncio.sleep(0.2)
        assert sequences(listener) == list(range(1, 31))
        assert bridge.counts.connections == 1

    asyncio.run(main())


def test_a_bridge_that_is_killed_loses_and_doubles_nothing(broker: Broker, tmp_path: Path) -> None:
    async def main() -> None:
        outbox = tmp_path / "outbox.sqlite"
        async with listening(broker.port) as listener:
            told, left = 0, []
            for _ in range(3):
                heard = len(sequences(listener))
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    str(HERE / "bridge_to_kill.py"),
                    str(broker.port),
                    str(outbox),
                    str(told),
                    "200",
                )
                told += 200
                await listener.until(lambda heard=heard: len(sequences(listener)) > heard + 20)
                process.send_signal(signal.SIGKILL)
                await process.wait()
                left.append(told - len(set(sequences(listener))))
            await listener.until(
                lambda: listener.of("availability")[-1:] == ["offline"]  # the last will
            )
            async with bridging(MqttBridge(settings(tmp_path, broker.port), FakeKiosk())):
                await listener.until(lambda: len(set(sequences(listener))) >= told)
        assert all(left), "each kill came in the middle of sending"
        raw = sequences(listener)
        kept = read_once(raw)
        assert kept == list(range(1, told + 1))
        assert len(raw) - len(kept) <= 3, "at most the one under way at each kill comes again"
        turns = {
            json.loads(one)["sequence"]: json.loads(one)["turn"] for one in listener.of("turn")
        }
        assert [turns[number] for number in kept] == list(range(told))

    asyncio.run(main())


def test_a_wrong_password_is_one_line_and_no_hail_of_attempts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "kiosk", "right-one"], check=True)
    passwords.chmod(0o600)
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    broker.start()

    async def run(password: str) -> MqttBridge:
        monkeypatch.setenv("KIOSK_PASSWORD", password)
        chosen = settings(tmp_path, broker.port, user="kiosk", **PASSWORD_VARIABLE)
        bridge = MqttBridge(chosen, FakeKiosk(), chance=soon)
        async with bridging(bridge):
            await asyncio.sleep(1.2)
        return bridge

    try:
        with caplog.at_level(logging.DEBUG):
            refused = asyncio.run(run("wrong-one"))
            let_in = asyncio.run(run("right-one"))
    finally:
        broker.stop()
    assert refused.counts.connections == 0
    assert let_in.counts.connections == 1
    lines = [one.getMessage() for one in caplog.records if one.name == "voicebot.mqtt"]
    assert sum("refuses this user or password" in line for line in lines) == 1
    assert "wrong-one" not in caplog.text
    assert "right-one" not in caplog.text


# paho leaves the socket of a failed handshake to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_tls_with_an_authority_of_our_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = make_certificates(tmp_path)
    broker = Broker(
        tmp_path,
        "allow_anonymous true",
        f"cafile {files.ca}",
        f"certfile {files.server}",
        f"keyfile {files.server_key}",
        "require_certificate true",
    )
    broker.start()

    async def connections(**more: Any) -> int:
        bridge = MqttBridge(
            settings(tmp_path, broker.port, tls=True, **more), FakeKiosk(), chance=soon
        )
        async with bridging(bridge):
            for _ in range(12):
                await asyncio.sleep(0.1)
                if bridge.counts.connections:
                    break
        return bridge.counts.connections

    own = {"client_certificate_file": files.client, "client_key_file": files.client_key}
    try:
        assert asyncio.run(connections(host="localhost", ca_file=files.ca, **own)) == 1
        # No certificate of our own, a server nobody vouches for, a name that is not the server's.
        assert asyncio.run(connections(host="localhost", ca_file=files.ca)) == 0
        assert asyncio.run(connections(host="localhost", ca_file=files.other_ca, **own)) == 0
        assert asyncio.run(connections(host="127.0.0.1", ca_file=files.ca, **own)) == 0
    finally:
        broker.stop()
        gc.collect()
    assert caplog.text.count("no trust between this kiosk") >= 2


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_broker_that_does_not_answer_costs_the_conversation_nothing(tmp_path: Path) -> None:
    """It accepts the connection and falls silent: observing goes on, memory stays bounded."""

    async def main() -> MqttBridge:
        bridge = MqttBridge(
            settings(tmp_path, port, transcripts=True, outbox_max_turns=50), FakeKiosk()
        )
        async with bridging(bridge):
            for turn in range(200):
                bridge.observe(a_closed_turn(turn))
            until_s = asyncio.get_running_loop().time() + 8.0
            while bridge.outbox_counts.dropped < 150:
                await asyncio.sleep(0.05)
                assert asyncio.get_running_loop().time() < until_s
        return bridge

    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts by its backlog, and no more
        port = deaf.getsockname()[1]
        bridge = asyncio.run(main())
        gc.collect()
    assert bridge.counts.connections == 0
    assert bridge.counts.messages_dropped == 180
    assert bridge.outbox_counts.waiting == 50


def test_the_password_is_in_no_repr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KIOSK_PASSWORD", "hidden-one")
    address = broker_address(settings(tmp_path, 1883, user="kiosk", **PASSWORD_VARIABLE))
    assert address.password == "hidden-one"  # noqa: S105
    assert "hidden-one" not in repr(address)
