"""``voicebot devices``: which sound devices there are, whether they work, and which are used."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from voicebot.audio.remembered import RememberedDevices, remember, remembered, wanted_devices
from voicebot.errors import DeviceError
from voicebot.terminal.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.audio.desktop import DesktopChoice
    from voicebot.audio.portaudio import Device, Side
    from voicebot.cli.context import CliContext

__all__ = ["desktop_choice", "devices_group", "devices_to_use"]

_TEST_S = 3.0
_TONE_S = 0.5
_TONE_HZ = 440.0
_TONE_LEVEL = 0.1
_TONE_RATE_HZ = 48_000
_METER_EVERY_S = 0.1
_METER_WIDTH = 40
_METER_FLOOR_DBFS = -80.0


def devices_to_use(context: CliContext) -> RememberedDevices:
    """What the settings name, else what is remembered and there; says so when it is not there.

    Raises:
        DeviceError: the devices cannot be listed.
    """
    from voicebot.audio.portaudio import (  # noqa: PLC0415 (loads PortAudio)
        Side,
        find_device,
        list_devices,
    )

    audio, wanted = context.settings.audio, wanted_devices(context.settings.audio)
    devices = list_devices()
    names = {}
    for side, given, name in (
        (Side.INPUT, audio.input, wanted.input),
        (Side.OUTPUT, audio.output, wanted.output),
    ):
        names[side] = name
        if name and not given:
            try:
                find_device(side, name, devices)
            except DeviceError as error:
                names[side] = ""
                context.error_console.print(
                    f"The remembered {side.noun} is not used ({error.problem}); the system's "
                    "default is.",
                    markup=False,
                    soft_wrap=True,
                )
    return RememberedDevices(names[Side.INPUT], names[Side.OUTPUT])


def desktop_choice(context: CliContext, *, sample_rate_hz: int) -> DesktopChoice:
    """How the settings want microphone and loudspeaker to be used."""
    from voicebot.audio.desktop import DesktopChoice  # noqa: PLC0415 (keeps --help quick)
    from voicebot.audio.echo import VoiceProcessing  # noqa: PLC0415 (keeps --help quick)

    audio, wanted = context.settings.audio, wanted_devices(context.settings.audio)
    return DesktopChoice(
        microphone=wanted.input,
        loudspeaker=wanted.output,
        sample_rate_hz=sample_rate_hz,
        block_ms=audio.block_ms,
        processing=VoiceProcessing(
            echo_cancellation=audio.echo_cancellation,
            noise_suppression=audio.noise_suppression,
            gain_control=audio.gain_control,
        ),
    )


@click.group("devices", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--test", is_flag=True, help="Play a tone and show the microphone's level.")
@click.pass_context
def devices_group(ctx: click.Context, *, as_json: bool, test: bool) -> None:
    """List the sound devices; `use` chooses the ones for conversations."""
    if ctx.invoked_subcommand is not None:
        return
    context: CliContext = ctx.obj
    if test:
        asyncio.run(_test(context))
        return
    from voicebot.audio.portaudio import list_devices  # noqa: PLC0415 (loads PortAudio)

    devices = list_devices()
    if as_json:
        context.console.print_json(json.dumps([asdict(device) for device in devices]))
    else:
        _print_table(context, devices)


@devices_group.command("use")
@click.argument("microphone")
@click.argument("loudspeaker")
@click.pass_obj
def _use_command(context: CliContext, *, microphone: str, loudspeaker: str) -> None:
    """Remember a MICROPHONE and a LOUDSPEAKER, by name or number.

    `default` is the system's own. The settings audio.input and audio.output outrank what is
    remembered.
    """
    from voicebot.audio.portaudio import (  # noqa: PLC0415 (loads PortAudio)
        Side,
        find_device,
        list_devices,
    )

    devices = list_devices()
    chosen = [
        _lasting_name(side, text, devices, find_device(side, _wanted(text, devices), devices))
        for side, text in ((Side.INPUT, microphone), (Side.OUTPUT, loudspeaker))
    ]
    path = remember(RememberedDevices(*chosen))
    for side, name in zip((Side.INPUT, Side.OUTPUT), chosen, strict=True):
        context.console.print(
            f"{side.noun}: {printable(name) or 'the system default'}", markup=False, soft_wrap=True
        )
        if name.isdigit():
            context.error_console.print(
                f"! Another {side.noun} has the same name; this one is remembered by its number, "
                "which may mean another one when devices come or go.",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
    context.error_console.print(f"Remembered in {path}", markup=False, soft_wrap=True)


def _wanted(text: str, devices: Sequence[Device]) -> str:
    """``default`` is the system's own, unless a device is called so."""
    if text == "default" and all(device.name != text for device in devices):
        return ""
    return text


def _lasting_name(side: Side, text: str, devices: Sequence[Device], device: Device) -> str:
    """A name for the device that means it alone; numbers change when devices come and go."""
    from voicebot.audio.portaudio import find_device  # noqa: PLC0415 (loads PortAudio)

    if not _wanted(text, devices):
        return ""
    for name in (device.name, f"{device.name}, {device.host_api}"):
        try:
            if find_device(side, name, devices) == device:
                return name
        except DeviceError:
            continue
    return text


def _names_of_several(devices: Sequence[Device]) -> list[str]:
    """Names that mean several devices of one sound system."""
    names = Counter((each.name, each.host_api) for each in devices)
    return list(dict.fromkeys(name for (name, _), count in names.items() if count > 1))


def _print_table(context: CliContext, devices: Sequence[Device]) -> None:
    from rich.table import Table  # noqa: PLC0415 (keeps --help quick)
    from rich.text import Text  # noqa: PLC0415 (keeps --help quick)

    if not devices:
        raise DeviceError(
            "no sound device found", "connect one; without one, talk from a file (chat --input)"
        )
    table = Table(box=None, pad_edge=False)
    for title in ("", "device", "system", "in", "out", "rate", "latency in/out"):
        table.add_column(title, justify="left" if title in {"device", "system"} else "right")
    for each in devices:
        marks = ("<" if each.is_default_input else " ") + (">" if each.is_default_output else " ")
        table.add_row(
            f"{marks}{each.number:3}",
            Text(printable(each.name)),  # no markup: names have brackets
            Text(printable(each.host_api)),
            str(each.input_channels or "-"),
            str(each.output_channels or "-"),
            str(each.default_rate_hz),
            f"{_ms(each.input_channels, each.input_latency_ms)}/"
            f"{_ms(each.output_channels, each.output_latency_ms)} ms",
        )
    context.console.print(table)
    context.console.print("< the system's default microphone, > its default loudspeaker")
    for name in _names_of_several(devices):
        context.console.print(
            f"Several devices are called {name!r}: choose one by its number, each time anew.",
            markup=False,
            soft_wrap=True,
        )
    kept = remembered()
    for what, name in (("microphone", kept.input), ("loudspeaker", kept.output)):
        if name:
            context.console.print(
                f"Remembered {what}: {printable(name)}", markup=False, soft_wrap=True
            )


def _ms(channels: int, latency_ms: float) -> str:
    return f"{latency_ms:g}" if channels else "-"


async def _test(context: CliContext) -> None:
    """Play tones and show what the microphone hears of them and of the user."""
    import numpy as np  # noqa: PLC0415 (keeps --help quick)

    from voicebot.audio.devices import Microphone, Speaker  # noqa: PLC0415 (loads PortAudio)

    devices = devices_to_use(context)
    block_ms = context.settings.audio.block_ms
    time_s = np.arange(round(_TONE_RATE_HZ * _TONE_S)) / _TONE_RATE_HZ
    tone = (_TONE_LEVEL * np.sin(2.0 * np.pi * _TONE_HZ * time_s)).astype(np.float32)
    async with AsyncExitStack() as opened:
        microphone = opened.enter_context(Microphone(devices.input, block_ms=block_ms))
        speaker = opened.enter_context(
            Speaker(devices.output, sample_rate_hz=_TONE_RATE_HZ, block_ms=block_ms)
        )
        for what, part in (("Microphone", microphone), ("Loudspeaker", speaker)):
            name = part.device.name if part.device is not None else ""
            context.console.print(f"{what}: {printable(name)}", markup=False, soft_wrap=True)
        context.console.print(
            f"A tone of {_TONE_S:g} s is played; speak, and see whether the level follows."
        )
        speaker.begin()
        speaker.write(tone)
        power, count, shown, loudest_dbfs = 0.0, 0, 0, _METER_FLOOR_DBFS
        async for block in microphone.blocks():
            power += float(np.sum(np.square(block.samples, dtype=np.float64)))
            count += len(block.samples)
            if count >= _METER_EVERY_S * 16_000:
                dbfs = max(_METER_FLOOR_DBFS, 10.0 * np.log10(power / count + 1e-12))
                loudest_dbfs = max(loudest_dbfs, dbfs)
                filled = round((1.0 - dbfs / _METER_FLOOR_DBFS) * _METER_WIDTH)
                meter = "#" * filled + "." * (_METER_WIDTH - filled)
                context.console.print(f"[{meter}] {dbfs:4.0f} dBFS", markup=False)
                power, count, shown = 0.0, 0, shown + 1
            if shown * _METER_EVERY_S >= _TEST_S:
                break
        context.console.print(
            f"Output latency {speaker.latency_s * 1000.0:.0f} ms; loudest {loudest_dbfs:.0f} dBFS; "
            f"overruns {microphone.overruns}, underruns {speaker.device_underruns}"
        )
    if loudest_dbfs <= _METER_FLOOR_DBFS + 1.0:
        raise DeviceError(
            "the microphone delivers silence only",
            "see whether it is muted, and whether this program may use it (macOS and Windows: "
            "Privacy, Microphone)",
        )
