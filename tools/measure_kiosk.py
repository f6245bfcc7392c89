"""Talk to the kiosk through a real Chromium: its latency in the page, and its screenshots.

    python tools/measure_kiosk.py --turns 20
    python tools/measure_kiosk.py --turns 2 --screenshots docs/kiosk

The recorded callers are the browser's microphone. Each turn's latency is told twice: as the server
reckons it (to the first sample at the loudspeaker), and as the page saw the first audible sample
leave by its audio context's output time. Both count from the estimated end of speech.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from chromium import Tab, chromium
from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import load_callers, recorded_callers_dir

if TYPE_CHECKING:
    from collections.abc import Callable

_PORT = 8791
_TOKEN = "measure-kiosk-token"  # noqa: S105  # of this run's own server
_LEAD_S = 2.0
_GAP_S = 9.0
_START_S = 120.0
_POLL_S = 0.1


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--turns", type=int, default=10, help="questions that are asked")
    parser.add_argument("--screenshots", type=Path, help="a folder to write screenshots to")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        microphone = Path(folder) / "caller.wav"
        seconds = _write_caller(microphone, asked.turns)
        log_path = Path(folder) / "kiosk.log"
        with log_path.open("w") as log, _Kiosk(asked.settings, log), chromium(microphone) as tab:
            shots = _Screenshots(tab, asked.screenshots)
            latencies = _converse(tab, seconds, shots)
            shots.others()
    _report(latencies)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def _write_caller(path: Path, turns: int) -> float:
    callers = load_callers(recorded_callers_dir(), "question")
    parts = [_silence(_LEAD_S)]
    for index in range(turns):
        parts.append(read_audio(callers[index % len(callers)].turns[0].path).samples)
        parts.append(_silence(_GAP_S))
    samples = np.concatenate(parts)
    soundfile.write(path, samples, INPUT_SAMPLE_RATE_HZ, subtype="PCM_16")
    return len(samples) / INPUT_SAMPLE_RATE_HZ


def _silence(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.zeros(round(seconds * INPUT_SAMPLE_RATE_HZ), dtype=np.float32)


class _Kiosk:
    """The server, as a process of its own."""

    def __init__(self, settings: list[str], log: Any) -> None:
        own = ["kiosk.token_variable=MEASURE_KIOSK_TOKEN", *settings]
        flags = [flag for one in own for flag in ("--set", one)]
        command = [sys.executable, "-m", "voicebot", "kiosk", "--port", str(_PORT), *flags]
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            command,
            env={**os.environ, "MEASURE_KIOSK_TOKEN": _TOKEN},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait(20)


class _Screenshots:
    """Takes each picture once, at its moment; none without a folder."""

    def __init__(self, tab: Tab, folder: Path | None) -> None:
        self._tab = tab
        self._folder = folder
        self._taken: set[str] = set()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> None:
        if self._folder is None or name in self._taken:
            return
        self._taken.add(name)
        self._tab.screenshot(self._folder / f"{name}.webp", kind="webp")

    def others(self) -> None:
        """The technician's view, and a small screen."""
        if self._folder is None:
            return
        tab = self._tab
        tab.resize(390, 844, scale=2.0, mobile=True)
        time.sleep(1.0)
        self.take("phone")
        tab.resize(1440, 900)
        tab.open(f"http://127.0.0.1:{_PORT}/technician")
        tab.evaluate(
            f"document.querySelector('input').value = '{_TOKEN}';"
            "document.querySelector('form').submit()"
        )
        tab.wait_for("document.querySelector('.figures b')")
        time.sleep(1.0)
        self.take("technician")


def _converse(tab: Tab, seconds: float, shots: _Screenshots) -> list[dict[str, Any]]:
    tab.resize(1600, 900)
    tab.prefer(prefers_color_scheme="dark")
    _retry(lambda: tab.open(f"http://127.0.0.1:{_PORT}/"))
    _retry(lambda: tab.wait_for("window.kiosk?.state === 'inviting'", 5.0))
    time.sleep(2.0)
    shots.take("attract")
    tab.prefer(prefers_color_scheme="light")
    time.sleep(1.0)
    shots.take("attract-light")
    tab.prefer(prefers_color_scheme="dark")
    tab.evaluate("document.getElementById('talk').click()")
    found: dict[int, dict[str, Any]] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        latency = tab.evaluate("kiosk.latency.last")
        if latency:
            found[latency["turn"]] = latency
        state = tab.evaluate("kiosk.state")
        said = tab.evaluate("document.querySelectorAll('.exchange:last-child .is-said').length")
        if state == "listening" and tab.evaluate("!!document.querySelector('.is-partial')"):
            shots.take("listening")
        if state == "thinking":
            shots.take("thinking")
        if state == "speaking" and said and found:
            shots.take("speaking")
        time.sleep(_POLL_S)
    shots.take("answered")
    return list(found.values())


def _retry(work: Callable[[], None]) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            work()
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def _report(latencies: list[dict[str, Any]]) -> None:
    print(f"{len(latencies)} answers, milliseconds from the estimated end of speech")
    for name, key in (
        ("server: first sample at the loudspeaker", "total_ms"),
        ("page: first audible sample left", "page_ms"),
    ):
        values = [one[key] for one in latencies if one[key] is not None]
        if values:
            p50, p95 = np.percentile(values, [50, 95])
            print(f"{name:<42} p50 {p50:6.0f}  p95 {p95:6.0f}  of {len(values)}")
    outputs = [one["parts_ms"]["output"] for one in latencies]
    if outputs:
        print(f"{'of it the way to the loudspeaker':<42} p50 {np.median(outputs):6.0f}")


if __name__ == "__main__":
    main()
