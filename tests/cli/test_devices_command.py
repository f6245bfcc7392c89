"""``voicebot devices`` against devices that the test makes up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.audio import portaudio
from voicebot.audio.portaudio import Device
from voicebot.audio.remembered import RememberedDevices, remember, remembered, wanted_devices
from voicebot.cli.main import run
from voicebot.config import AudioSettings

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = [
    replace(
        Device(0, "Built-in", "ALSA", 2, 2, 48_000, 8.7, 9.5, is_default_host=True),
        is_default_input=True,
        is_default_output=True,
    ),
    Device(1, "USB mic", "ALSA", 1, 0, 44_100, 5.0, 0.0, is_default_host=True),
    Device(2, "USB mic", "JACK", 1, 0, 44_100, 5.0, 0.0),
    Device(3, "USB camera", "ALSA", 1, 0, 32_000, 5.0, 0.0, is_default_host=True),
]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(portaudio, "list_devices", lambda: list(DEVICES))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_: str(tmp_path / "state"))
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "user")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_names_every_device_and_marks_the_defaults(capsys: Any) -> None:
    assert run(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["<>", "0", "Built-in", "ALSA", "2", "2", "48000", "8.7/9.5", "ms"]
    assert lines[2].split() == ["1", "USB", "mic", "ALSA", "1", "-", "44100", "5/-", "ms"]


def test_json_holds_all_that_is_known(capsys: Any) -> None:
    assert run(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [Device(**each) for each in found] == DEVICES


def test_what_is_chosen_is_remembered_by_a_name_that_lasts(capsys: Any) -> None:
    assert run(["devices", "use", "2", "built"]) == 0
    assert remembered() == RememberedDevices("USB mic, JACK", "Built-in")
    capsys.readouterr()
    assert run(["devices"]) == 0
    assert "Remembered microphone: USB mic, JACK" in capsys.readouterr().out
    assert run(["devices", "use", "default", "default"]) == 0
    assert remembered() == RememberedDevices()


def test_names_with_brackets_are_printed_as_they_are(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = replace(DEVICES[1], name="Mic [USB] [/bold]", host_api="[red]ALSA")
    monkeypatch.setattr(portaudio, "list_devices", lambda: [*DEVICES, replace(odd, number=4)])
    assert run(["devices"]) == 0
    shown = capsys.readouterr().out
    assert "Mic [USB] [/bold]" in shown
    assert "[red]ALSA" in shown


def test_two_devices_of_one_name_are_told(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = replace(DEVICES[1], number=4)
    monkeypatch.setattr(portaudio, "list_devices", lambda: [*DEVICES, twin])
    assert run(["devices"]) == 0
    assert "Several devices are called 'USB mic': choose one by its" in capsys.readouterr().out
    assert run(["devices", "use", "4", "built"]) == 0
    assert "Another microphone has the same name" in capsys.readouterr().err
    assert remembered().input == "4"


@pytest.mark.parametrize(
    ("microphone", "problem"),
    [
        ("usb", "'usb' means several microphones: 1 USB mic (ALSA); 3 USB camera (ALSA)"),
        ("attic", "no microphone called 'attic'"),
    ],
)
def test_a_choice_that_means_none_or_several_is_refused(
    capsys: Any, microphone: str, problem: str
) -> None:
    assert run(["devices", "use", microphone, "built"]) == 1
    assert problem in capsys.readouterr().err
    assert remembered() == RememberedDevices()


def test_settings_outrank_what_is_remembered() -> None:
    remember(RememberedDevices("kept mic", "kept box"))
    assert wanted_devices(AudioSettings()) == RememberedDevices("kept mic", "kept box")
    assert wanted_devices(AudioSettings(input="set")) == RememberedDevices("set", "kept box")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"input": 3, "output": ""}', "{}"])
def test_a_damaged_memory_is_none(machine: Path, content: str) -> None:
    (machine / "state").mkdir()
    (machine / "state" / "devices.json").write_text(content)
    assert remembered() == RememberedDevices()


def test_no_device_at_all_is_told_with_a_way_out(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "list_devices", list)
    assert run(["devices"]) == 1
    assert "no sound device found: connect one" in capsys.readouterr().err
