"""Which device is meant, and what is said when it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voicebot.audio import portaudio
from voicebot.audio.portaudio import Device, Side, find_device, list_devices_afresh, open_stream
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path


def device(number: int, name: str, host: str = "ALSA", **more: Any) -> Device:
    given = {"input_channels": 1, "output_channels": 2, "default_rate_hz": 48_000}
    return Device(
        number=number,
        name=name,
        host_api=host,
        input_latency_ms=8.7,
        output_latency_ms=8.7,
        **{**given, **more},
    )


DEVICES = [
    device(0, "Built-in Audio", is_default_input=True),
    device(1, "USB Headset", is_default_host=True),
    device(2, "USB Headset", "JACK"),
    device(3, "USB Camera", output_channels=0, is_default_host=True),
    device(4, "HDMI", input_channels=0, is_default_output=True),
    device(5, "Desk USB"),
]


@pytest.mark.parametrize(
    ("side", "wanted", "number"),
    [
        (Side.INPUT, "", 0),
        (Side.OUTPUT, "", 4),
        (Side.INPUT, "3", 3),
        (Side.INPUT, "camera", 3),
        (Side.INPUT, "usb headset", 1),
        (Side.INPUT, "USB Headset, JACK", 2),
        (Side.INPUT, "headset, jack", 2),
        (Side.OUTPUT, "hdmi", 4),
        (Side.OUTPUT, "desk", 5),
        (Side.OUTPUT, "usb", 1),
    ],
)
def test_a_device_is_found_by_number_name_and_part(side: Side, wanted: str, number: int) -> None:
    assert find_device(side, wanted, DEVICES).number == number


@pytest.mark.parametrize(
    ("side", "wanted", "problem"),
    [
        (Side.INPUT, "attic", "no microphone called 'attic'"),
        (Side.INPUT, "hdmi", "no microphone called 'hdmi'"),
        (Side.OUTPUT, "3", "no loudspeaker called '3'"),
        (Side.INPUT, "17", "no microphone called '17'"),
    ],
)
def test_an_absent_device_is_told(side: Side, wanted: str, problem: str) -> None:
    with pytest.raises(DeviceError, match="voicebot devices") as raised:
        find_device(side, wanted, DEVICES)
    assert raised.value.problem == problem


def test_several_matches_are_listed() -> None:
    with pytest.raises(DeviceError) as raised:
        find_device(Side.INPUT, "usb", DEVICES)
    assert raised.value.problem == (
        "'usb' means several microphones: 1 USB Headset (ALSA); 3 USB Camera (ALSA)"
    )
    assert "more of the name" in raised.value.way_out


def test_a_computer_without_a_default_device_is_told_so() -> None:
    with pytest.raises(DeviceError, match="no loudspeaker found"):
        find_device(Side.OUTPUT, "", DEVICES[:2])


class Refusing:
    """A PortAudio that refuses every stream."""

    class PortAudioError(Exception):
        def __str__(self) -> str:
            return f"{self.args[0]} [PaErrorCode {self.args[1]}]"

    def __init__(self, *error: Any) -> None:
        self._error = self.PortAudioError(*error)

    def InputStream(self, **_: Any) -> Any:  # noqa: N802  # sounddevice's name
        raise self._error


@pytest.mark.parametrize(
    ("error", "problem", "way_out"),
    [
        (
            ("Error opening InputStream: Device unavailable", -9985),
            "the microphone 'USB Headset' is in use by another program",
            "close that program",
        ),
        (
            ("Error opening InputStream: Unanticipated host error: Permission denied", -9999),
            "the microphone 'USB Headset' may not be used by this program",
            "Privacy",
        ),
        (
            ("Error opening InputStream: Invalid sample rate", -9997),
            "the microphone 'USB Headset' does not take 16000 nor 48000 samples a second",
            "set another rate",
        ),
        (
            ("Internal error", -9986),
            "the microphone 'USB Headset' cannot be opened (Internal error [PaErrorCode -9986])",
            "choose another device",
        ),
    ],
)
def test_a_refusal_is_one_line_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, error: tuple[Any, ...], problem: str, way_out: str
) -> None:
    monkeypatch.setattr(portaudio, "_sounddevice", lambda: Refusing(*error))
    with pytest.raises(DeviceError) as raised:
        open_stream(
            Side.INPUT,
            DEVICES[1],
            rate_hz=16_000,
            block_ms=10,
            latency="low",
            callback=lambda *_: None,
            finished=lambda: None,
        )
    assert raised.value.problem == problem
    assert way_out in raised.value.way_out


def test_another_process_lists_the_devices() -> None:
    """What it finds depends on the machine; that it comes back whole does not."""
    try:
        devices = list_devices_afresh()
    except DeviceError:
        pytest.skip("PortAudio does not work on this machine")
    assert [each.number for each in devices] == list(range(len(devices)))


def test_nothing_of_the_current_folder_runs_in_the_process_that_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        devices = list_devices_afresh()
    except DeviceError:
        pytest.skip("PortAudio does not work on this machine")
    for name in ("voicebot", "json", "dataclasses"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    assert list_devices_afresh() == devices
