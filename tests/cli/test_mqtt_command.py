from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mqtt_brokers import Broker, needs_broker
from voicebot.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


def test_topics_are_shown_with_the_settings_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--set", "mqtt.kiosk_id=door", "mqtt", "topics"]) == 0
    shown = capsys.readouterr().out
    assert "`voicebot/door/availability`" in shown
    assert "| `volume` | `percent`: integer from 0 to 100 |" in shown


def test_schemas_are_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mqtt", "topics", "--json"]) == 0
    schemas = json.loads(capsys.readouterr().out)
    assert schemas["volume"]["properties"]["percent"]["maximum"] == 100


def test_the_discovery_payload_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mqtt", "discovery"]) == 0
    topic, _, payload = capsys.readouterr().out.partition("\n")
    assert topic == "homeassistant/device/voicebot_kiosk/config"
    assert json.loads(payload)["components"]["volume"]["max"] == 100
    assert run(["--set", "mqtt.discovery_prefix=", "mqtt", "discovery"]) == 2
    assert "nothing is announced" in capsys.readouterr().err


def test_a_trial_needs_a_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mqtt", "try"]) == 2
    assert "mqtt.host is not set" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["mqtt.kiosk_id=a/b", "mqtt.prefix=a/#", "mqtt.prefix=/a"])
def test_names_that_would_break_topics_are_refused(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--set", setting, "mqtt", "topics"]) == 2
    assert "characters that are not allowed: it must match" in capsys.readouterr().err


@needs_broker
def test_a_trial_against_a_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiomqtt")
    broker = Broker(tmp_path)
    broker.start()
    settings = ("mqtt.host=127.0.0.1", f"mqtt.port={broker.port}", f"mqtt.outbox_file={tmp_path}/o")
    flags = [part for setting in settings for part in ("--set", setting)]
    try:
        assert run([*flags, "mqtt", "try", "--turns", "0"]) == 0
    finally:
        broker.stop()
    assert "connected; topics begin with voicebot/kiosk" in capsys.readouterr().out
