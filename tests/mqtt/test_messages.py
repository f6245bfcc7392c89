"""Topics, payloads, discovery, rates and waits: all that is pure."""

from __future__ import annotations

import json
import logging
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_facts import a_closed_turn
from voicebot.config import Settings
from voicebot.errors import EngineError
from voicebot.events import (
    BargedIn,
    ClauseSpoken,
    CommitReason,
    Outcome,
    ReplyFinishing,
    ReplyHeld,
    ReplyRepeated,
    ReplyResumed,
    ReplyStopped,
    SpeechStarted,
    StageFailed,
    TextEntered,
    TurnCommitted,
)
from voicebot.mqtt.backoff import Backoff
from voicebot.mqtt.commands import COMMANDS, parse_command
from voicebot.mqtt.discovery import discovery_payload
from voicebot.mqtt.health import HealthKeeper, MachineFacts, percentile
from voicebot.mqtt.kiosk_state import KioskState, StateFollower
from voicebot.mqtt.log_lines import LogLines
from voicebot.mqtt.payloads import reply_payload, turn_body, turn_payload
from voicebot.mqtt.rate_limit import RateLimit
from voicebot.mqtt.topics import TOPIC_TABLE, Topic, Topics
from voicebot.telemetry.turn_facts import turn_facts

TOPICS = Topics("voicebot", "door", "homeassistant")

# Home Assistant's keys, from its pages on MQTT's entities (integrations/sensor.mqtt and so on);
# an unknown key is dropped there in silence, so that a slip would show nowhere else.
COMMON = {
    "platform",
    "availability_topic",
    "enabled_by_default",
    "entity_category",
    "icon",
    "json_attributes_topic",
    "name",
    "qos",
    "unique_id",
}
KEYS = {
    "sensor": {
        "device_class",
        "expire_after",
        "force_update",
        "options",
        "state_class",
        "state_topic",
        "suggested_display_precision",
        "unit_of_measurement",
        "value_template",
    },
    "switch": {
        "command_topic",
        "device_class",
        "optimistic",
        "payload_off",
        "payload_on",
        "retain",
        "state_off",
        "state_on",
        "state_topic",
        "value_template",
    },
    "number": {
        "command_template",
        "command_topic",
        "device_class",
        "max",
        "min",
        "mode",
        "optimistic",
        "retain",
        "state_topic",
        "step",
        "unit_of_measurement",
        "value_template",
    },
    "button": {"command_template", "command_topic", "device_class", "payload_press", "retain"},
    "select": {
        "command_template",
        "command_topic",
        "optimistic",
        "options",
        "retain",
        "state_topic",
        "value_template",
    },
    "notify": {"command_template", "command_topic", "retain"},
}
REQUIRED = {
    "sensor": {"state_topic"},
    "switch": {"command_topic"},
    "number": {"command_topic"},
    "button": {"command_topic"},
    "select": {"command_topic", "options"},
    "notify": {"command_topic"},
}
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "sw_version"}
ROOT_KEYS = {
    "device",
    "origin",
    "components",
    "qos",
    "availability_topic",
    "payload_available",
    "payload_not_available",
}


def discovery(*, has_transcripts: bool = True) -> dict[str, Any]:
    profiles = get_args(Settings.model_fields["profile"].annotation)
    return discovery_payload(
        TOPICS, version="1.2", profiles=profiles, has_transcripts=has_transcripts
    )


def test_the_discovery_payload_has_home_assistants_keys_only() -> None:
    payload = discovery()
    assert set(payload) <= ROOT_KEYS
    assert set(payload["device"]) <= DEVICE_KEYS
    assert payload["device"]["identifiers"]
    assert set(payload["origin"]) <= {"name", "sw_version", "support_url"}
    unique_ids = []
    for component in payload["components"].values():
        platform = component["platform"]
        assert set(component) <= COMMON | KEYS[platform], component["name"]
        assert REQUIRED[platform] <= set(component), component["name"]
        assert component.get("entity_category", "config") in {"config", "diagnostic"}
        unique_ids.append(component["unique_id"])
    assert len(set(unique_ids)) == len(unique_ids)
    enum = payload["components"]["state"]
    assert enum["options"] == [state.value for state in KioskState]
    assert "state_class" not in enum
    assert "unit_of_measurement" not in enum


def test_without_transcripts_home_assistant_is_promised_none() -> None:
    assert "transcript" in discovery()["components"]
    assert "transcript" not in discovery(has_transcripts=False)["components"]


def test_discovery_names_only_topics_that_there_are() -> None:
    known = {TOPICS.of(topic) for topic in TOPIC_TABLE}
    for component in discovery()["components"].values():
        assert component.get("state_topic", TOPICS.of(Topic.STATE)) in known
        name = TOPICS.command_name(component.get("command_topic", TOPICS.command("say")))
        assert name in COMMANDS


def test_what_home_assistant_sends_is_a_valid_command() -> None:
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(autoescape=False)
    environment.filters["to_json"] = json.dumps
    values = {"volume": 40.0, "profile": "cpu", "say": 'a "quoted" ü', "ask": "why?"}
    for name, component in discovery()["components"].items():
        command = TOPICS.command_name(component.get("command_topic", ""))
        if command is None:
            continue
        payloads = [component[key] for key in component if key.startswith("payload_")]
        if "command_template" in component:
            template = environment.from_string(component["command_template"])
            payloads = [template.render(value=values[name])]
        assert payloads
        for payload in payloads:
            assert parse_command(command, payload.encode()).name == command


def test_state_templates_give_what_home_assistant_waits_for() -> None:
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(autoescape=False)
    components = discovery()["components"]

    def rendered(name: str, **fields: Any) -> str:
        template = environment.from_string(components[name]["value_template"])
        return str(template.render(value_json=fields))

    assert rendered("mute", muted=True) == components["mute"]["state_on"]
    assert rendered("mute", muted=False) == components["mute"]["state_off"]
    assert rendered("latency_p95", latency_p95_ms=312.5) == "312.5"
    assert rendered("last_error", last_error=None) == "none"
    assert len(rendered("transcript", transcript="x" * 999)) == 250


def test_only_what_lies_below_the_kiosks_own_topic_is_a_command() -> None:
    assert TOPICS.command_name("voicebot/door/command/say") == "say"
    for other in (
        "voicebot/other/command/say",
        "voicebot/door/command",
        "voicebot/door/command/say/more",
        "voicebot/door/command/",
        "x/voicebot/door/command/say",
    ):
        assert TOPICS.command_name(other) is None


def test_a_turn_on_its_way_has_figures_and_no_words() -> None:
    facts = turn_facts(a_closed_turn(3), clock_offset_s=0.0, with_words=True)
    body = turn_body(facts)
    assert "time" not in body
    assert "clock" not in body
    message = json.loads(turn_payload("abc", 12, body))
    assert (message["stream"], message["sequence"], message["turn"]) == ("abc", 12, 3)
    assert sum(message["breakdown_ms"].values()) == pytest.approx(message["latency_ms"], abs=0.3)


def test_a_reply_says_what_became_of_a_command() -> None:
    assert json.loads(reply_payload("say", "s1")) == {"id": "s1", "command": "say", "ok": True}
    refused = json.loads(reply_payload("say", None, error="no"))
    assert (refused["ok"], refused["error"]) == (False, "no")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_waits_double_up_to_the_limit_and_are_never_short(chances: list[float]) -> None:
    backoff = Backoff(first_s=1.0, most_s=60.0)
    for attempt, chance in enumerate(chances):
        limit_s = min(60.0, 2.0**attempt)
        assert limit_s / 2 <= backoff.next_s(chance) <= limit_s
    backoff.reset()
    assert backoff.next_s(1.0) == 1.0


def test_a_rate_allows_a_burst_and_then_the_steady_rate() -> None:
    rate = RateLimit(per_s=2.0, burst=5.0)
    assert [rate.allows(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert rate.allows(100.6)
    assert not rate.allows(100.7)
    assert not rate.allows(50.0), "a clock that goes back gains nothing"


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=200))
def test_a_percentile_is_one_of_the_values(values: list[float]) -> None:
    p50, p95 = percentile(values, 50), percentile(values, 95)
    assert p50 in values
    assert p95 in values
    assert p50 is not None
    assert p95 is not None
    assert p50 <= p95
    assert sum(value <= p95 for value in values) >= 0.95 * len(values)


def test_health_counts_what_happened() -> None:
    keeper = HealthKeeper()
    keeper.observe(BargedIn(1, 0.0, 0.0))
    keeper.observe(StageFailed(1, EngineError("the synthesis\nstage broke")))
    for _ in range(3):
        keeper.count(turn_facts(a_closed_turn(), clock_offset_s=0.0, with_words=False))
    dismissed = a_closed_turn(outcome=Outcome.DISMISSED, speech_end_s=None)
    keeper.count(turn_facts(dismissed, clock_offset_s=0.0, with_words=False))
    health = keeper.report(
        MachineFacts(12.4, 345.6, 2), version="1", turns_waiting=4, turns_dropped=5
    )
    assert (health.turns, health.answered, health.interruptions) == (4, 3, 1)
    assert (health.latency_p50_ms, health.underruns, health.memory_mib) == (221.0, 2, 346)
    assert health.last_error == "the synthesis stage broke"
    assert (health.turns_waiting, health.turns_dropped) == (4, 5)


def test_the_state_follows_a_conversation() -> None:
    follower = StateFollower()
    committed = TurnCommitted(1, 2.0, 1.9, CommitReason.SURE)
    story = [
        (SpeechStarted(1, 1.0, 0.9), "listening"),
        (committed, "thinking"),
        (ClauseSpoken(1, "Well,", 2.1), "speaking"),
        (SpeechStarted(2, 3.0, 2.9), "listening"),
        (ReplyHeld(1, 2.9, 3.0), "listening"),
        (a_closed_turn(2, outcome=Outcome.ACKNOWLEDGED), "listening"),
        (ReplyResumed(1, 3.5), "speaking"),
        (a_closed_turn(1), "idle"),
        (TextEntered(3, 9.0, "hello"), "thinking"),
        (ClauseSpoken(3, "Hello.", 9.5), "speaking"),
        (ReplyStopped(3, 9.7), "speaking"),
        (a_closed_turn(3), "idle"),
        (ReplyRepeated(4, 3), "thinking"),
        (ReplyFinishing(4, 11.0), "speaking"),
        (a_closed_turn(4, outcome=Outcome.REPEATED), "idle"),
    ]
    for event, state in story:
        assert follower.follow(event).value == state, event


def test_lines_of_the_log_are_limited_and_keep_no_secret(request: pytest.FixtureRequest) -> None:
    woken = []
    lines = LogLines(logging.WARNING, wake=lambda: woken.append(1), secret="hunter2")  # noqa: S106
    logger = logging.getLogger("elsewhere.test")
    logger.addHandler(lines)
    request.addfinalizer(lambda: logger.removeHandler(lines))
    for index in range(50):
        logger.warning("line %d of hunter2", index)
    logger.info("too low")
    taken = []
    while (line := lines.take()) is not None:
        taken.append(json.loads(line))
    assert len(taken) == len(woken) <= 22
    assert taken[0]["text"] == "line 0 of ***"
    own = logging.getLogger("voicebot.mqtt.test")
    own.addHandler(lines)
    request.addfinalizer(lambda: own.removeHandler(lines))
    own.error("about sending itself")
    assert lines.take() is None
