"""PortAudio's devices: which there are, which one is meant, and opening a stream on it.

Nothing here keeps state. PortAudio itself lists the devices once, when it starts; ``relist`` makes
it look again, which ends every open stream.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Device",
    "OpenStream",
    "Side",
    "find_device",
    "list_devices",
    "list_devices_afresh",
    "open_stream",
    "print_devices",
    "relist",
]

_LISTS_DEVICES = "from voicebot.audio.portaudio import print_devices; print_devices()"
_LIST_TIMEOUT_S = 10.0
_INVALID_RATE = -9997
_DEVICE_UNAVAILABLE = -9985
_LIST_THEM = "'voicebot devices' lists them; without one, talk from a file (--input)"


class Side(Enum):
    """Which way sound goes through a device."""

    INPUT = "input"
    OUTPUT = "output"

    @property
    def noun(self) -> str:
        """What people call it."""
        return "microphone" if self is Side.INPUT else "loudspeaker"


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device as PortAudio lists it.

    Attributes:
        number: its place in the list; changes when devices come and go.
        name: as the system calls it.
        host_api: the sound system that it belongs to, such as ALSA, Core Audio, Windows WASAPI.
        input_channels: 0 for a device that only plays.
        output_channels: 0 for a device that only records.
        default_rate_hz: its own sample rate.
        input_latency_ms: the lowest that its driver recommends.
        output_latency_ms: likewise.
        is_default_input: whether the system records from it unless told otherwise.
        is_default_output: likewise for playing.
        is_default_host: whether its sound system is the one used by default.
    """

    number: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    default_rate_hz: int
    input_latency_ms: float
    output_latency_ms: float
    is_default_input: bool = False
    is_default_output: bool = False
    is_default_host: bool = False

    def channels(self, side: Side) -> int:
        """How many channels it has on a side."""
        return self.input_channels if side is Side.INPUT else self.output_channels

    def is_default(self, side: Side) -> bool:
        """Whether it is the system's default on a side."""
        return self.is_default_input if side is Side.INPUT else self.is_default_output


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A stream that is open and not yet started.

    Attributes:
        stream: sounddevice's.
        device: what it is open on.
        rate_hz: at which rate.
    """

    stream: Any
    device: Device
    rate_hz: int


def list_devices() -> list[Device]:
    """All devices as of PortAudio's last look.

    Raises:
        DeviceError: the PortAudio library is missing or fails.
    """
    library = _sounddevice()
    try:
        found = library.query_devices()
        hosts = library.query_hostapis()
        defaults = tuple(_default_number(library, side) for side in ("input", "output"))
    except library.PortAudioError as error:
        raise DeviceError(
            f"the sound system does not answer ({error})", "see whether sound works elsewhere"
        ) from error
    # The system's default device belongs to the sound system that is used by default.
    default_hosts = {found[number]["hostapi"] for number in defaults if number is not None}
    return [
        Device(
            number=number,
            name=str(each["name"]),
            host_api=str(hosts[each["hostapi"]]["name"]),
            input_channels=int(each["max_input_channels"]),
            output_channels=int(each["max_output_channels"]),
            default_rate_hz=round(each["default_samplerate"]),
            input_latency_ms=round(each["default_low_input_latency"] * 1000.0, 1),
            output_latency_ms=round(each["default_low_output_latency"] * 1000.0, 1),
            is_default_input=number == defaults[0],
            is_default_output=number == defaults[1],
            is_default_host=each["hostapi"] in default_hosts,
        )
        for number, each in enumerate(found)
    ]


def list_devices_afresh() -> list[Device]:
    """All devices as of now, without disturbing open streams: another process looks.

    Raises:
        DeviceError: it could not look.
    """
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-P", "-c", _LISTS_DEVICES],  # -P: nothing of the current folder
            capture_output=True,
            timeout=_LIST_TIMEOUT_S,
            check=True,
        )
        return [Device(**each) for each in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise DeviceError("the devices cannot be listed", "see whether sound works") from error


def print_devices() -> None:
    """What ``list_devices_afresh`` reads, on standard output."""
    sys.stdout.write(json.dumps([asdict(device) for device in list_devices()]))


def relist() -> None:
    """Let PortAudio look for devices again; ends every open stream.

    Raises:
        DeviceError: it cannot be started again.
    """
    library = _sounddevice()
    try:
        library._terminate()  # noqa: SLF001  # sounddevice has no public name for it
        library._initialize()  # noqa: SLF001
    except library.PortAudioError as error:
        raise DeviceError(
            f"the sound system does not answer ({error})", "see whether sound works elsewhere"
        ) from error


def find_device(side: Side, wanted: str, devices: Sequence[Device]) -> Device:
    """The device that ``wanted`` means.

    Args:
        side: what it must be able to do.
        wanted: its number, its name, a part of its name (any case), or "name, host API"; empty for
            the system's default.
        devices: among which.

    Raises:
        DeviceError: none or several are meant.
    """
    able = [device for device in devices if device.channels(side) > 0]
    if not wanted:
        matches = [device for device in able if device.is_default(side)]
    elif wanted.isdigit():
        matches = [device for device in able if device.number == int(wanted)]
    else:
        matches = _named(wanted, able)
    if not matches:
        problem = f"no {side.noun} called {wanted!r}" if wanted else f"no {side.noun} found"
        raise DeviceError(problem, _LIST_THEM)
    if len(matches) > 1:
        listed = "; ".join(f"{each.number} {each.name} ({each.host_api})" for each in matches)
        raise DeviceError(
            f"{wanted!r} means several {side.noun}s: {listed}",
            "give more of the name, its sound system ('name, system'), or the number",
        )
    return matches[0]


def _named(wanted: str, devices: Sequence[Device]) -> list[Device]:
    """The devices of that name, else with that part in it; of the default sound system first."""
    text = wanted.casefold()
    full = {device: f"{device.name}, {device.host_api}".casefold() for device in devices}
    exact = [each for each in devices if text in (each.name.casefold(), full[each])]
    matches = exact or [each for each in devices if text in full[each]]
    return [each for each in matches if each.is_default_host] or matches


def open_stream(
    side: Side,
    device: Device,
    *,
    rate_hz: int,
    block_ms: float,
    latency: float | str,
    callback: Callable[..., None],
    finished: Callable[[], None],
) -> OpenStream:
    """Open a stream, at ``rate_hz`` and mono if the device takes it, else as it can.

    Args:
        side: which way.
        device: on what.
        rate_hz: the rate that is wanted.
        block_ms: length of a block.
        latency: in seconds, or sounddevice's 'low' or 'high'.
        callback: as sounddevice calls it; float32, one or two channels.
        finished: called when the stream has ended, for whatever reason.

    Raises:
        DeviceError: busy, not allowed, no rate that fits, or gone; one line with the way out.
    """
    library = _sounddevice()
    make = library.InputStream if side is Side.INPUT else library.OutputStream
    errors: list[Exception] = []
    for attempt_hz in dict.fromkeys((rate_hz, device.default_rate_hz)):
        for channels in dict.fromkeys((1, min(2, device.channels(side)))):
            try:
                stream = make(
                    device=device.number,
                    samplerate=attempt_hz,
                    blocksize=max(1, round(block_ms * attempt_hz / 1000.0)),
                    channels=channels,
                    dtype="float32",
                    latency=latency,
                    callback=callback,
                    finished_callback=finished,
                )
            except (library.PortAudioError, ValueError) as error:
                errors.append(error)
            else:
                return OpenStream(stream, device, attempt_hz)
    raise _refused(side, device, errors, rate_hz) from errors[-1]


def _refused(side: Side, device: Device, errors: Sequence[Exception], rate_hz: int) -> DeviceError:
    """What is wrong, in a line, out of what PortAudio said to each attempt."""
    texts = " ".join(str(error) for error in errors)
    codes = {error.args[1] for error in errors if len(error.args) > 1}
    what = f"the {side.noun} {device.name!r}"
    if any(sign in texts.casefold() for sign in ("permission", "not permitted", "denied")):
        return DeviceError(
            f"{what} may not be used by this program",
            "allow it: macOS and Windows under Privacy, Microphone; Linux: your user must be in "
            "the group audio",
        )
    if _DEVICE_UNAVAILABLE in codes or "busy" in texts.casefold():
        return DeviceError(
            f"{what} is in use by another program",
            "close that program, or choose another device ('voicebot devices')",
        )
    if codes == {_INVALID_RATE}:
        rates = " nor ".join(str(rate) for rate in dict.fromkeys((rate_hz, device.default_rate_hz)))
        return DeviceError(
            f"{what} does not take {rates} samples a second",
            "set another rate for it in the system's sound settings, or choose another device",
        )
    return DeviceError(
        f"{what} cannot be opened ({errors[-1]})",
        "close other programs that use it, or choose another device ('voicebot devices')",
    )


def _default_number(library: Any, side: str) -> int | None:
    try:
        return int(library.query_devices(kind=side)["index"])
    except (library.PortAudioError, ValueError):
        return None


def _sounddevice() -> Any:
    try:
        import sounddevice  # noqa: PLC0415  # loads PortAudio, which only devices need
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing",
            "install it (Debian: apt-get install libportaudio2), or talk from a file with --input",
        ) from error
    return sounddevice
