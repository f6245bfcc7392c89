"""How fast each model is on this machine, and with how many threads.

More threads are not always faster: small models wait for the slowest of them, and a conversation
has other stages that want a core. So it is measured, once for each machine and model, and kept in
the user's cache folder.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import platformdirs

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.protocols import Message, Prefilled
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Asr, Llm, Tts, TurnDetector, Vad

__all__ = [
    "Speed",
    "TunedStage",
    "best_threads",
    "chosen_threads",
    "host_key",
    "keep_threads",
    "measure_asr",
    "measure_llm",
    "measure_tts",
    "measure_turn_detector",
    "measure_vad",
    "thread_counts",
    "tuning_path",
    "usable_cores",
]

TunedStage: TypeAlias = Literal["asr", "llm", "tts", "turn"]
"""The stages whose thread count is a choice."""

_Clock: TypeAlias = "Callable[[], float]"

_SCHEMA = "voicebot.tuning/1"
_WORTH_A_THREAD = 0.9
_VAD_FRAMES = 100
_TURN_RUNS = 5
_BLOCK_S = 0.1
_QUESTION = "What is the capital of France, and what is it known for?"
_SENTENCE = "The capital of France is Paris."
_LLM_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of one model.

    Attributes:
        stage: the stage it serves.
        threads: how many threads it was given; None where that is not a choice.
        value: how long the unit of work takes, as ``quantity`` says; less is better.
        quantity: what ``value`` is, with its unit: ``ms a frame``.
    """

    stage: str
    threads: int | None
    value: float
    quantity: str


def measure_vad(vad: Vad, *, clock: _Clock = time.perf_counter) -> Speed:
    """The median time of one frame."""
    frame = _noise(vad.frame_samples)
    times = [_timed(lambda: vad.probability(frame), clock) for _ in range(_VAD_FRAMES)]
    vad.reset()
    return Speed("vad", None, statistics.median(times) * 1e3, "ms a frame")


def measure_turn_detector(
    detector: TurnDetector, threads: int, *, clock: _Clock = time.perf_counter
) -> Speed:
    """The median time of one look at a full window."""
    window = _noise(round(detector.window_s * INPUT_SAMPLE_RATE_HZ))
    times = [_timed(lambda: detector.completion(window), clock) for _ in range(_TURN_RUNS)]
    return Speed("turn", threads, statistics.median(times) * 1e3, "ms a look")


def measure_asr(asr: Asr, speech: Samples, *, clock: _Clock = time.perf_counter) -> Speed:
    """The time that a turn takes to recognise, as a share of its length.

    Args:
        asr: the recogniser.
        speech: shape (n,), 16 kHz.
        clock: gives seconds.
    """
    block = round(_BLOCK_S * INPUT_SAMPLE_RATE_HZ)
    begun = clock()
    asr.start()
    for start in range(0, len(speech), block):
        asr.feed(speech[start : start + block])
    asr.finish()
    share = (clock() - begun) / (len(speech) / INPUT_SAMPLE_RATE_HZ)
    return Speed("asr", None, share, "s a second of speech")


def measure_llm(llm: Llm, threads: int, *, clock: _Clock = time.perf_counter) -> Speed:
    """The time of a token while a reply is written, without the reading of the prompt.

    Raises:
        EngineError: the model writes nothing.
    """
    stop = threading.Event()
    tokens = 0
    begun = ended = clock()
    for piece in llm.generate([Message("user", _QUESTION)], stop):
        if isinstance(piece, Prefilled):
            begun = clock()
            continue
        tokens += piece.tokens
        ended = clock()
        if tokens >= _LLM_TOKENS:
            stop.set()
    if tokens == 0:
        raise EngineError("the language model wrote nothing when its speed was measured")
    return Speed("llm", threads, (ended - begun) * 1e3 / tokens, "ms a token")


def measure_tts(tts: Tts, *, clock: _Clock = time.perf_counter) -> tuple[Speed, Samples]:
    """The time to the first samples of a sentence.

    Returns:
        The speed, and the speech, at the synthesiser's own rate.

    Raises:
        EngineError: the synthesiser says nothing.
    """
    begun = clock()
    first_s: float | None = None
    chunks = []
    for chunk in tts.synthesise(_SENTENCE, threading.Event()):
        if first_s is None:
            first_s = clock() - begun
        chunks.append(chunk.samples)
    if first_s is None:
        raise EngineError("the synthesiser said nothing when its speed was measured")
    speed = Speed("tts", None, first_s * 1e3, "ms to the first sample")
    return speed, np.concatenate(chunks)


def thread_counts(cores: int) -> tuple[int, ...]:
    """The counts worth a try on a machine of ``cores``: 1, 2, 4, 8 and no more than it has."""
    return tuple(count for count in (1, 2, 4, 8) if count <= max(cores, 1))


def best_threads(speeds: Sequence[Speed]) -> int:
    """The thread count to take: the fewest, unless more are at least a tenth faster.

    Raises:
        ValueError: none of them was measured with a thread count.
    """
    counted = sorted((speed.threads, speed.value) for speed in speeds if speed.threads is not None)
    if not counted:
        raise ValueError("no speed was measured with a thread count")
    best, best_value = counted[0]
    for threads, value in counted[1:]:
        if value < best_value * _WORTH_A_THREAD:
            best, best_value = threads, value
    return best


def host_key() -> str:
    """This machine in one line: what a measurement holds for."""
    return f"{_processor()}, {usable_cores()} cores"


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def tuning_path() -> Path:
    """Where the choices are kept."""
    return platformdirs.user_cache_path("voicebot", appauthor=False) / "tuning.json"


def chosen_threads(
    stage: TunedStage, model: str | None = None, *, path: Path | None = None
) -> int | None:
    """The thread count chosen on this machine for ``stage``; None if it was never measured.

    Args:
        stage: the stage.
        model: the model's name; None takes the choice of whatever model was measured last.
        path: the file of choices, else the user's.
    """
    match _read(path or tuning_path()).get(host_key()):
        case dict(stages):
            pass
        case _:
            return None
    match stages.get(stage):
        case {"model": str(measured), "threads": int(threads)} if threads > 0:
            return threads if model in {None, measured} else None
        case _:
            return None


def keep_threads(
    stage: TunedStage, model: str, speeds: Sequence[Speed], *, path: Path | None = None
) -> int:
    """Choose from ``speeds`` and keep the choice for this machine.

    Raises:
        ValueError: none of them was measured with a thread count.
        OSError: the file cannot be written.
    """
    threads = best_threads(speeds)
    path = path or tuning_path()
    hosts = _read(path)
    stages = hosts.get(host_key())
    hosts[host_key()] = {
        **(stages if isinstance(stages, dict) else {}),
        stage: {"model": model, "threads": threads, "speeds": [asdict(one) for one in speeds]},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    temporary.write_text(
        json.dumps({"schema": _SCHEMA, "hosts": hosts}, indent=2) + "\n", encoding="utf-8"
    )
    temporary.replace(path)
    return threads


def _read(path: Path) -> dict[str, object]:
    # A cache: what cannot be read is measured again.
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    match content:
        case {"schema": str(schema), "hosts": dict(hosts)} if schema == _SCHEMA:
            return hosts
        case _:
            return {}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux: the platform module knows it there
        pass
    return platform.processor() or platform.machine()


def _noise(count: int) -> Samples:
    return np.random.default_rng(0).normal(0.0, 0.05, count).astype(np.float32)


def _timed(work: Callable[[], object], clock: _Clock) -> float:
    begun = clock()
    work()
    return clock() - begun
