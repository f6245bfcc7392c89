"""The room for real: a PulseAudio of the test's own, its clients, PortAudio in a child process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voicebot.acoustic.caller_run import CallerRun, RunRules
from voicebot.acoustic.pulse_ports import pulse_ports
from voicebot.acoustic.pulse_server import private_server
from voicebot.acoustic.self_test import KNOWN_DELAY_MS, measure_known_answers, sound_test_callers
from voicebot.acoustic.target import loopback_command, running_target
from voicebot.acoustic.turn_records import TurnRecords
from voicebot.acoustic.virtual_room import PORTAUDIO_NAME, ROOM_SINK, open_room
from voicebot.errors import DeviceError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.acoustic.run_record import AcousticTurn
    from voicebot.acoustic.virtual_room import VirtualRoom

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the virtual room is Linux only"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("pulseaudio", "pactl", "parec", "pacat")),
        reason="PulseAudio is not installed",
    ),
]

LISTENS_WITHIN_S = 30.0


@pytest.fixture
def room() -> Iterator[VirtualRoom]:
    with private_server() as server, open_room(server) as opened:
        yield opened


def portaudio_sees_the_room(room: VirtualRoom) -> bool:
    listed = subprocess.run(
        [sys.executable, "-m", "sounddevice"],
        env=dict(room.target_environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return PORTAUDIO_NAME in listed.stdout


def await_listener(room: VirtualRoom) -> None:
    until_s = time.monotonic() + LISTENS_WITHIN_S
    while not room.is_listened_to():
        assert time.monotonic() < until_s, "nobody listens"
        time.sleep(0.1)


def test_the_instrument_is_right_to_the_sample(room: VirtualRoom) -> None:
    with pulse_ports(room) as ports:
        error = measure_known_answers(ports, 2)
    assert error.turns == 2
    assert error.min == pytest.approx(0.0, abs=0.05)
    assert error.max == pytest.approx(0.0, abs=0.05)


def test_a_program_that_answers_is_heard_and_its_own_figure_found(
    room: VirtualRoom, tmp_path: Path
) -> None:
    if not portaudio_sees_the_room(room):
        pytest.skip("PortAudio does not see PulseAudio: libasound2-plugins is not installed")
    log = tmp_path / "turns.jsonl"
    command = loopback_command(PORTAUDIO_NAME, KNOWN_DELAY_MS, log)
    turns: list[AcousticTurn] = []
    with (
        pulse_ports(room, tmp_path / "all.wav") as ports,
        running_target(command, room.target_environment, tmp_path / "log") as target,
    ):
        await_listener(room)
        run = CallerRun(
            ports,
            check_target=target.check,
            records=TurnRecords(log),
            rules=RunRules(quiet_s=0.5, patience_s=5.0),
        )
        run.play(sound_test_callers(tmp_path, 2), turns.append)
    assert [turn.software_ms for turn in turns] == [KNOWN_DELAY_MS] * 2
    assert not any(turn.missed or turn.cut_in for turn in turns)
    assert (tmp_path / "all.wav").stat().st_size > 48_000


def test_an_assistant_that_ends_is_told_with_its_last_words(
    room: VirtualRoom, tmp_path: Path
) -> None:
    dying = [sys.executable, "-c", "import sys; print('no licence'); sys.exit(3)"]
    with (
        pulse_ports(room) as ports,
        running_target(dying, room.target_environment, tmp_path / "log") as target,
    ):
        run = CallerRun(ports, check_target=target.check, records=None, rules=RunRules())
        with pytest.raises(EngineError, match=r"has ended \(exit code 3; no licence\)"):
            run.play(sound_test_callers(tmp_path, 1), lambda _: None)


def test_an_assistant_that_never_answers_ends_the_run(room: VirtualRoom, tmp_path: Path) -> None:
    turns: list[AcousticTurn] = []
    rules = RunRules(patience_s=0.5, quiet_s=0.1, mute_turns_max=2)
    with pulse_ports(room) as ports:
        run = CallerRun(ports, check_target=lambda: None, records=None, rules=rules)
        with pytest.raises(EngineError, match="not made a sound in 2 turns"):
            run.play(sound_test_callers(tmp_path, 3), turns.append)
    assert [turn.missed for turn in turns] == [True, True]


def test_a_server_that_goes_is_told(tmp_path: Path) -> None:
    with (
        private_server() as server,
        open_room(server) as room,
        pulse_ports(room) as ports,
    ):
        server.pactl("exit")
        run = CallerRun(ports, check_target=lambda: None, records=None, rules=RunRules())
        with pytest.raises(DeviceError, match="sound server"):
            run.play(sound_test_callers(tmp_path, 1), lambda _: None)


def test_a_second_room_in_a_server_is_refused_and_a_closed_one_leaves_nothing() -> None:
    with private_server() as server:
        with open_room(server):
            with pytest.raises(DeviceError, match="is open"), open_room(server):
                pass
            assert any(row[1] == ROOM_SINK for row in server.listed("sinks"))
        assert not any("voicebot" in row[1] for row in server.listed("sinks"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_nothing_is_left_behind(how: signal.Signals, tmp_path: Path) -> None:
    marker = f"sleep-{os.getpid()}-{how.name}"
    target = f"{sys.executable} -c 'import time; time.sleep(600)' {marker}"
    out = tmp_path / "out"
    arguments = ["acoustic", "--target", "other", "--command", target, "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "voicebot", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Waiting" in line:
            break
    assert becomes(marker, is_running=True)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert becomes(marker, is_running=False)


def becomes(marker: str, *, is_running: bool) -> bool:
    """Wait for it: a process that is starting has no arguments for a moment."""
    until_s = time.monotonic() + 10.0
    while running(marker) is not is_running:
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


def running(marker: str) -> bool:
    """Whether a process has the marker among its arguments."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker.encode() in words:
                return True
    return False
