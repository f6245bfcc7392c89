"""``voicebot mqtt``: topics, Home Assistant's payload, and a trial against a broker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, get_args

import click

from voicebot import __version__
from voicebot.errors import ConfigError, VoicebotError

if TYPE_CHECKING:
    from voicebot.cli.context import CliContext
    from voicebot.mqtt.bridge import MqttBridge
    from voicebot.mqtt.topics import Topics

__all__ = ["discovery_command", "mqtt_group", "topics_command", "try_command"]

_CONNECT_TIMEOUT_S = 15.0
_LOOK_EVERY_S = 0.05
_LINGER_S = 1.0


@click.group("mqtt")
def mqtt_group() -> None:
    """Look at the kiosk's message bus: its topics, its commands, and whether it works."""


@mqtt_group.command("topics")
@click.option("--json", "as_json", is_flag=True, help="Print the commands' JSON Schemas instead.")
@click.pass_obj
def topics_command(context: CliContext, *, as_json: bool) -> None:
    """Show every topic and command, with the settings' prefix and kiosk."""
    from voicebot.mqtt.commands import (  # noqa: PLC0415 (start-up time)
        command_schemas,
        command_table,
    )
    from voicebot.mqtt.topics import topic_table  # noqa: PLC0415 (start-up time)

    if as_json:
        click.echo(json.dumps(command_schemas(), indent=2))
        return
    click.echo(topic_table(_topics(context)))
    click.echo()
    click.echo(command_table())


@mqtt_group.command("discovery")
@click.pass_obj
def discovery_command(context: CliContext) -> None:
    """Show what announces the kiosk to Home Assistant: the topic, then the payload."""
    from voicebot.config import Settings  # noqa: PLC0415 (start-up time)
    from voicebot.mqtt.discovery import discovery_payload  # noqa: PLC0415 (start-up time)

    topics = _topics(context)
    if not topics.discovery_prefix:
        raise ConfigError(
            "mqtt.discovery_prefix is empty: nothing is announced", "set it to homeassistant"
        )
    payload = discovery_payload(
        topics,
        version=__version__,
        profiles=get_args(Settings.model_fields["profile"].annotation),
        has_transcripts=context.settings.mqtt.transcripts,
    )
    click.echo(topics.discovery)
    click.echo(json.dumps(payload, indent=2))


@mqtt_group.command("try")
@click.option(
    "--turns", type=click.IntRange(0, 1000), default=2, show_default=True, help="How many to hold."
)
@click.option(
    "--listen-s",
    type=click.FloatRange(0.0, 86_400.0),
    default=0.0,
    show_default=True,
    help="Take commands for so long afterwards.",
)
@click.pass_obj
def try_command(context: CliContext, *, turns: int, listen_s: float) -> None:
    """Connect to the broker, hold a scripted conversation, and show the commands that come.

    It takes no model and no sound card. Commands are shown, not carried out.
    """
    asyncio.run(_try(context, turns, listen_s))


def _topics(context: CliContext) -> Topics:
    from voicebot.mqtt.topics import Topics  # noqa: PLC0415 (start-up time)

    chosen = context.settings.mqtt
    return Topics(chosen.prefix, chosen.kiosk_id, chosen.discovery_prefix)


async def _try(context: CliContext, turns: int, listen_s: float) -> None:
    from voicebot.mqtt.bridge import running_bridge  # noqa: PLC0415 (start-up time)
    from voicebot.mqtt.demo import DemoControls, scripted_conversation  # noqa: PLC0415

    def tell(line: str) -> None:
        context.console.print(line, markup=False, soft_wrap=True)

    controls = DemoControls(tell)
    async with running_bridge(context.settings.mqtt, controls) as bridge:
        if bridge is None:
            raise ConfigError("mqtt.host is not set", "give it, as with --set mqtt.host=localhost")
        controls.changed = bridge.tell_controls
        bridge.tell_controls(controls.state)
        await _connection(bridge)
        tell(f"connected; topics begin with {bridge.topics.base}")
        await scripted_conversation(turns, bridge.observe)
        await asyncio.sleep(max(_LINGER_S, listen_s))
        left = bridge.outbox_counts.waiting + bridge.turns_in_memory
        tell(f"{turns} turns held; {left} wait in the outbox")


async def _connection(bridge: MqttBridge) -> None:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _CONNECT_TIMEOUT_S
    while not bridge.counts.connections:
        if loop.time() > until_s:
            raise VoicebotError(
                "there is no connection to the MQTT broker", "the line above says why"
            )
        await asyncio.sleep(_LOOK_EVERY_S)
