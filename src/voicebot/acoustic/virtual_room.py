"""A room made of sinks: what the caller says and what the assistant says, sample by sample.

::

    caller's player ─► voicebot_caller ──────► left ┐
                                                    ├ voicebot_room ─► its monitor is recorded
    the assistant ───► voicebot_loudspeaker ─► right┘       │ left only
    the assistant ◄─────────────────────────────── voicebot_microphone

One null sink has both channels, so one recording of its monitor holds both sides on one clock, with
nothing to align. The caller's and the assistant's sinks and the microphone are remapped channels
of it, without any buffer of their own. The assistant does not hear itself.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicebot.acoustic.pulse_server import PulseServer

__all__ = [
    "CALLER_SINK",
    "LOUDSPEAKER_SINK",
    "MICROPHONE_SOURCE",
    "PORTAUDIO_NAME",
    "ROOM_MONITOR",
    "ROOM_RATE_HZ",
    "ROOM_SINK",
    "VirtualRoom",
    "open_room",
]

ROOM_RATE_HZ = 48_000
ROOM_SINK = "voicebot_room"
ROOM_MONITOR = f"{ROOM_SINK}.monitor"
CALLER_SINK = "voicebot_caller"
LOUDSPEAKER_SINK = "voicebot_loudspeaker"
MICROPHONE_SOURCE = "voicebot_microphone"
PORTAUDIO_NAME = "voicebot_room_device"
"""The device's name for PortAudio and ALSA: the assistant's microphone and loudspeaker in one."""

_ALSA_DEFAULTS = "/usr/share/alsa/alsa.conf"
_ALSA = f"""
pcm.{PORTAUDIO_NAME} {{
    type asym
    playback.pcm {{ type pulse device {LOUDSPEAKER_SINK} }}
    capture.pcm {{ type pulse device {MICROPHONE_SOURCE} }}
}}
pcm.!default {PORTAUDIO_NAME}
ctl.!default {{ type pulse }}
"""


@dataclass(frozen=True, slots=True)
class VirtualRoom:
    """A room that is open.

    Attributes:
        server: where it is.
        target_environment: for a program that shall listen and speak in it: the room is its
            default device, in PulseAudio and in ALSA.
    """

    server: PulseServer
    target_environment: Mapping[str, str]

    def is_listened_to(self) -> bool:
        """Whether a program records from the room's microphone.

        Raises:
            DeviceError: the server no longer answers, or the microphone is gone.
        """
        number = next(
            (row[0] for row in self.server.listed("sources") if row[1] == MICROPHONE_SOURCE), None
        )
        if number is None:
            raise DeviceError(
                "the virtual room's microphone is gone", "the sound server was reset: start again"
            )
        return any(row[1] == number for row in self.server.listed("source-outputs"))


@contextmanager
def open_room(server: PulseServer) -> Iterator[VirtualRoom]:
    """A room in ``server`` until the context is left.

    In a server of our own the room is the default device. In the user's it is one to choose; the
    defaults stay what they are.

    Raises:
        DeviceError: the server refuses a module, or another room is open in it.
    """
    if any(row[1] == ROOM_SINK for row in server.listed("sinks")):
        raise DeviceError(
            "a virtual room is open in this sound server already",
            "wait for the other run; if one was killed: pactl unload-module module-null-sink",
        )
    with ExitStack() as opened:
        sides = "channels=1 channel_map=mono remix=no"
        _open_sink(server, opened)
        for sink, side in ((CALLER_SINK, "front-left"), (LOUDSPEAKER_SINK, "front-right")):
            opened.enter_context(
                server.module(
                    "module-remap-sink",
                    f"sink_name={sink}",
                    f"master={ROOM_SINK}",
                    f"master_channel_map={side}",
                    *sides.split(),
                    *_named("sink", sink),
                )
            )
        opened.enter_context(
            server.module(
                "module-remap-source",
                f"source_name={MICROPHONE_SOURCE}",
                f"master={ROOM_MONITOR}",
                "master_channel_map=front-left",
                *sides.split(),
                *_named("source", MICROPHONE_SOURCE),
            )
        )
        if server.is_private:
            server.pactl("set-default-sink", LOUDSPEAKER_SINK)
            server.pactl("set-default-source", MICROPHONE_SOURCE)
        alsa = server.folder / "asound.conf"
        alsa.write_text(_ALSA, encoding="utf-8")
        environment = {
            **server.environment,
            "PULSE_SINK": LOUDSPEAKER_SINK,
            "PULSE_SOURCE": MICROPHONE_SOURCE,
            "ALSA_CONFIG_PATH": f"{_ALSA_DEFAULTS}:{alsa}",
        }
        yield VirtualRoom(server, environment)


def _open_sink(server: PulseServer, opened: ExitStack) -> None:
    arguments = [
        f"sink_name={ROOM_SINK}",
        "format=float32le",
        f"rate={ROOM_RATE_HZ}",
        "channels=2",
        "channel_map=front-left,front-right",
        *_named("sink", ROOM_SINK),
    ]
    try:
        # A sink that never takes back what it has played hands it to the microphone earlier.
        opened.enter_context(server.module("module-null-sink", *arguments, "norewinds=1"))
    except DeviceError:  # PulseAudio before 15 does not know it
        opened.enter_context(server.module("module-null-sink", *arguments))


def _named(kind: str, name: str) -> list[str]:
    """What a desktop shows instead of 'Null Output'."""
    return [f"{kind}_properties=device.description={name}"]
