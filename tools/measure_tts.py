"""Measure a Piper voice by threads: time to first sound, real-time factor, memory.

    python tools/measure_tts.py --model VOICE.onnx [--threads 1,2,4] [--device cpu] [--runs N]
        [--busy N] [--keep NAME]

Every thread count has a process of its own, so that none finds what another left behind.
Meanwhile ``--busy`` other processes burn a core each (none by default). ``--keep`` stores the best
thread count for this machine under the model's name (or path), where ``tts.threads = 0`` finds it.

It prints a Markdown table, a row a thread count:

- ``weights``: ``real``, or what stands in for a voice: ``tiny`` hums, ``shape-true`` computes as
  much as a voice of its quality does and says nothing.
- ``load``: reading the graph and the first, unheard words.
- ``first sound``: from asking for a clause to its first chunk, over the first clauses of replies.
- ``longest stretch``: the longest time between two chunks, over a long text.
- ``real-time factor``: seconds of work for a second of sound, over the long text; ``CPU`` is the
  processor time of the same.
- ``memory``: what the process grew by, libraries not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from voicebot.bench.statistics import describe
from voicebot.engines.piper import PiperTts
from voicebot.engines.piper_config import read_config, voice_facts
from voicebot.tuning import Speed, keep_threads, thread_counts, usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.engines.piper_voice import Device

_FIRST_CLAUSES = (
    "Yes, of course.",
    "The capital of France is Paris.",
    "That is a good question,",
    "There are seven days in a week.",
    "It depends on the weather,",
    "The best way to learn",
)
_LONG_TEXT = (
    "Rivers carry water to the sea, and the sea gives it back to the clouds. The wind takes the "
    "clouds over the land, where they meet the mountains and rise until they are cold enough for "
    "rain. So the water comes back to the rivers, and everything begins again."
)
_BURN = "while True: pass"


@dataclass(frozen=True, slots=True)
class _Task:
    model: Path
    threads: int
    device: Device
    runs: int


@dataclass(frozen=True, slots=True)
class _Row:
    threads: int
    device: str
    load_s: float
    first_sound_ms: tuple[float, ...]
    longest_stretch_ms: float
    work_s: float
    cpu_s: float
    sound_s: float
    memory_mib: float


def _measure(task: _Task) -> _Row:
    import onnx  # noqa: F401, PLC0415 - libraries do not count as the voice's memory
    import piper  # noqa: F401, PLC0415 - ditto

    process = psutil.Process()
    memory_before = process.memory_info().rss
    begun = time.perf_counter()
    tts = PiperTts.load(task.model, threads=task.threads, device=task.device)
    load_s = time.perf_counter() - begun
    never = threading.Event()
    first_sound_ms = []
    for run in range(task.runs):
        begun = time.perf_counter()
        chunks = tts.synthesise(_FIRST_CLAUSES[run % len(_FIRST_CLAUSES)], never)
        next(chunks)
        first_sound_ms.append(1e3 * (time.perf_counter() - begun))
        chunks.close()  # type: ignore[attr-defined]  # the engine's is a generator
    longest_s = 0.0
    samples = 0
    cpu_before = sum(process.cpu_times()[:2])
    begun = asked = time.perf_counter()
    for chunk in tts.synthesise(_LONG_TEXT, never):
        longest_s = max(longest_s, time.perf_counter() - asked)
        samples += len(chunk.samples)
        asked = time.perf_counter()
    return _Row(
        task.threads,
        tts.device,
        load_s,
        tuple(first_sound_ms),
        1e3 * longest_s,
        time.perf_counter() - begun,
        sum(process.cpu_times()[:2]) - cpu_before,
        samples / tts.sample_rate_hz,
        (process.memory_info().rss - memory_before) / 2**20,
    )


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    burning = [
        subprocess.Popen([sys.executable, "-c", _BURN])  # noqa: S603 - our own line
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def _print(model: Path, rows: list[_Row]) -> None:
    facts = voice_facts(read_config(model), model)
    print(
        "| voice | weights | device | threads | load s | first sound p50, p95 ms "
        "| longest stretch ms | real-time factor | CPU s/s | memory MiB |"
    )
    print("|---" * 10 + "|")
    for row in rows:
        first = describe(row.first_sound_ms)
        print(
            f"| {model.stem} ({facts.quality or 'no quality'}) | {facts.weights} | {row.device} "
            f"| {row.threads} | {row.load_s:.1f} | {first.p50:.0f}, {first.p95:.0f} "
            f"| {row.longest_stretch_ms:.0f} | {row.work_s / row.sound_s:.3f} "
            f"| {row.cpu_s / row.sound_s:.3f} | {row.memory_mib:.0f} |"
        )


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure a Piper voice.")
    parser.add_argument("--model", type=Path, required=True, help="the voice's .onnx file")
    parser.add_argument("--threads", default="", help="thread counts, with commas between them")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=int, default=30, help="first clauses a thread count")
    parser.add_argument("--busy", type=int, default=0, help="processes that burn a core each")
    parser.add_argument("--keep", metavar="NAME", help="keep the best thread count as this model's")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.threads.split(",") if count]
    tasks = [
        _Task(arguments.model, count, arguments.device, max(arguments.runs, 1))
        for count in counts or thread_counts(usable_cores())
    ]
    spawn = multiprocessing.get_context("spawn")
    rows = []
    with _busy(arguments.busy):
        for task in tasks:
            with spawn.Pool(1) as pool:
                rows.append(pool.apply(_measure, (task,)))
    print(f"\n{arguments.runs} clauses, {os.cpu_count()} cores, {arguments.busy} busy processes\n")
    _print(arguments.model, rows)
    if arguments.keep:
        speeds = [
            Speed("tts", row.threads, float(describe(row.first_sound_ms).p50 or 0), "ms")
            for row in rows
        ]
        print(f"\nkept: {keep_threads('tts', arguments.keep, speeds)} threads")


if __name__ == "__main__":
    _main()
