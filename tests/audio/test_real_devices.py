"""The real device path, through PortAudio and a sound server of the test's own.

PulseAudio runs in a folder of the test with one null sink, whose monitor is the microphone: what
the loudspeaker plays is what is heard.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="PulseAudio's null sinks are Linux only"),
    pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="PulseAudio is not installed"),
]

LONGEST_S = 60.0
NULL_SINK = ("module-null-sink", "sink_name=cable", "rate=48000")
BEEPS = """
import asyncio
import numpy as np
from voicebot.audio.desktop import DesktopAudio, DesktopChoice
from voicebot.audio.echo import VoiceProcessing

async def main():
    choice = DesktopChoice(
        microphone="pulse", loudspeaker="pulse", sample_rate_hz=22050, block_ms=10,
        processing=VoiceProcessing(echo_cancellation=False),
    )
    beep = (0.3 * np.sin(2 * np.pi * 600 * np.arange(4410) / 22050)).astype(np.float32)
    async with DesktopAudio(choice, lambda line: print("told", line, flush=True)) as audio:
        async def listen():
            heard_s = -1.0
            async for block in audio.source.blocks():
                if np.max(np.abs(block.samples)) > 0.1:
                    if block.start_s > heard_s + 0.3:
                        print("heard", flush=True)
                    heard_s = block.end_s
        listening = asyncio.create_task(listen())
        while True:
            await asyncio.sleep(0.8)
            audio.sink.begin()
            audio.sink.write(beep)

asyncio.run(main())
"""


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which its clients find it."""
    pytest.importorskip("sounddevice")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    (tmp_path / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    environment.pop("PULSE_SERVER", None)
    arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "-L", " ".join(NULL_SINK)]
    server = subprocess.Popen(
        ["pulseaudio", *arguments, "-L", "module-native-protocol-unix", "-L", "module-always-sink"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            asked = subprocess.run(
                ["pactl", "info"], env=environment, capture_output=True, check=False
            )
            if asked.returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.skip("PulseAudio does not start here")
        listed = subprocess.run(
            [sys.executable, "-m", "sounddevice"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "pulse" not in listed.stdout:
            pytest.skip("PortAudio does not see PulseAudio: libasound2-plugins is not installed")
        yield environment
    finally:
        server.terminate()
        server.wait(10)


def test_sound_goes_round_and_comes_back_after_the_device_was_unplugged(
    sound_server: dict[str, str],
) -> None:
    def pactl(*arguments: str) -> str:
        return subprocess.run(
            ["pactl", *arguments], env=sound_server, capture_output=True, text=True, check=True
        ).stdout

    program = subprocess.Popen(
        [sys.executable, "-c", BEEPS],
        env=sound_server,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_long = threading.Timer(LONGEST_S, program.kill)
    too_long.start()

    def hear(count: int) -> None:
        heard = 0
        for line in program.stdout or ():
            heard += line.startswith("heard")
            if heard == count:
                return
        raise AssertionError(f"it ended: {program.stderr.read() if program.stderr else ''}")

    try:
        hear(3)
        (module,) = (
            line.split()[0]
            for line in pactl("list", "short", "modules").splitlines()
            if "module-null-sink" in line
        )
        pactl("unload-module", module)
        time.sleep(1.0)
        pactl("load-module", *NULL_SINK)
        pactl("set-default-sink", "cable")
        pactl("set-default-source", "cable.monitor")
        hear(3)
    finally:
        too_long.cancel()
        program.kill()
        program.communicate()
