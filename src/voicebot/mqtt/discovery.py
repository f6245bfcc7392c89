"""The kiosk as a device of Home Assistant (pure).

One message announces the device with all its entities ("device discovery", Home Assistant 2024.12
and later): https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. The keys are
those of the pages on MQTT's sensor, switch, number, button, select and notify there.
"""

from __future__ import annotations

from typing import Any

from voicebot.mqtt.payloads import OFFLINE, ONLINE
from voicebot.mqtt.topics import COMMAND_QOS, Topic, Topics

__all__ = ["discovery_payload"]


def discovery_payload(
    topics: Topics, *, version: str, profiles: tuple[str, ...], has_transcripts: bool
) -> dict[str, Any]:
    """What is published, retained, at ``topics.discovery``.

    Args:
        topics: of the kiosk.
        version: of voicebot.
        profiles: what may be chosen.
        has_transcripts: whether what was said is published.
    """
    components = _sensors(topics) | _controls(topics, profiles)
    if has_transcripts:
        components["transcript"] = {
            "platform": "sensor",
            "name": "Last words",
            "icon": "mdi:account-voice",
            "state_topic": topics.of(Topic.TRANSCRIPT),
            # A state holds 255 characters at most.
            "value_template": "{{ value_json.transcript[:250] }}",
        }
    for name, component in components.items():
        component["unique_id"] = f"{topics.device_id}_{name}"
    return {
        "device": {
            "identifiers": [topics.device_id],
            "name": f"voicebot {topics.kiosk_id}",
            "manufacturer": "voicebot",
            "model": "kiosk",
            "sw_version": version,
        },
        "origin": {"name": "voicebot", "sw_version": version},
        "availability_topic": topics.of(Topic.AVAILABILITY),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": COMMAND_QOS,
        "components": components,
    }


def _sensors(topics: Topics) -> dict[str, dict[str, Any]]:
    health = topics.of(Topic.HEALTH)

    def of_health(name: str, field: str, **more: Any) -> dict[str, Any]:
        return {
            "platform": "sensor",
            "name": name,
            "state_topic": health,
            "value_template": f"{{{{ value_json.{field} }}}}",
            "entity_category": "diagnostic",
            **more,
        }

    milliseconds = {"unit_of_measurement": "ms", "state_class": "measurement"}
    return {
        "state": {
            "platform": "sensor",
            "name": "State",
            "icon": "mdi:robot-happy",
            "device_class": "enum",
            "options": ["idle", "listening", "thinking", "speaking"],
            "state_topic": topics.of(Topic.STATE),
        },
        "latency_p50": of_health(
            "Latency, median", "latency_p50_ms", device_class="duration", **milliseconds
        ),
        "latency_p95": of_health(
            "Latency, 95th percentile", "latency_p95_ms", device_class="duration", **milliseconds
        ),
        "turns": of_health("Turns", "turns", state_class="total_increasing", icon="mdi:chat"),
        "stage_failures": of_health(
            "Stage failures", "stage_failures", state_class="total_increasing", icon="mdi:alert"
        ),
        "underruns": of_health(
            "Underruns", "underruns", state_class="total_increasing", icon="mdi:volume-vibrate"
        ),
        "memory": of_health(
            "Memory",
            "memory_mib",
            device_class="data_size",
            unit_of_measurement="MiB",
            state_class="measurement",
        ),
        "uptime": of_health(
            "Uptime",
            "uptime_s",
            device_class="duration",
            unit_of_measurement="s",
            state_class="total_increasing",
        ),
        "last_error": of_health("Last error", "last_error", icon="mdi:alert-circle")
        | {"value_template": "{{ (value_json.last_error or 'none')[:250] }}"},
    }


def _controls(topics: Topics, profiles: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    controls = topics.of(Topic.CONTROLS)
    text = '{"text": {{ value | to_json }}}'
    return {
        "mute": {
            "platform": "switch",
            "name": "Mute",
            "icon": "mdi:microphone-off",
            "command_topic": topics.command("mute"),
            "payload_on": '{"muted": true}',
            "payload_off": '{"muted": false}',
            "state_topic": controls,
            "value_template": "{{ 'ON' if value_json.muted else 'OFF' }}",
            "state_on": "ON",
            "state_off": "OFF",
        },
        "volume": {
            "platform": "number",
            "name": "Volume",
            "icon": "mdi:volume-high",
            "command_topic": topics.command("volume"),
            "command_template": '{"percent": {{ value | int }}}',
            "state_topic": controls,
            "value_template": "{{ value_json.volume_percent }}",
            "min": 0,
            "max": 100,
            "step": 1,
            "mode": "slider",
            "unit_of_measurement": "%",
        },
        "profile": {
            "platform": "select",
            "name": "Profile",
            "icon": "mdi:tune",
            "command_topic": topics.command("profile"),
            "command_template": '{"profile": {{ value | to_json }}}',
            "state_topic": controls,
            "value_template": "{{ value_json.profile }}",
            "options": list(profiles),
            "entity_category": "config",
        },
        "reset": {
            "platform": "button",
            "name": "Forget the conversation",
            "icon": "mdi:broom",
            "command_topic": topics.command("reset"),
            "payload_press": "{}",
        },
        "restart": {
            "platform": "button",
            "name": "Restart",
            "device_class": "restart",
            "command_topic": topics.command("restart"),
            "payload_press": "{}",
            "entity_category": "config",
        },
        "say": {
            "platform": "notify",
            "name": "Say",
            "icon": "mdi:bullhorn",
            "command_topic": topics.command("say"),
            "command_template": text,
        },
        "ask": {
            "platform": "notify",
            "name": "Ask",
            "icon": "mdi:comment-question",
            "command_topic": topics.command("ask"),
            "command_template": text,
        },
    }
