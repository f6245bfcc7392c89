"""Whether this machine can hold a conversation: facts, each with the way out where one is bad.

Every check takes what it judges as its arguments, so that each verdict can be tested; only the
``gather_…`` functions look at the machine.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from voicebot.errors import ModelError, VoicebotError
from voicebot.tuning import (
    Speed,
    keep_threads,
    measure_asr,
    measure_llm,
    measure_tts,
    measure_turn_detector,
    measure_vad,
    thread_counts,
    usable_cores,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from voicebot.audio.samples import Samples
    from voicebot.choice import ChosenProfile
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr, Tts
    from voicebot.machine import MachineFacts
    from voicebot.models.registry import SpokenRole
    from voicebot.models.store import ModelStore
    from voicebot.tuning import TunedStage

__all__ = [
    "Finding",
    "FindingState",
    "check_audio",
    "check_clock",
    "check_cores",
    "check_disk",
    "check_machine",
    "check_memory",
    "check_model",
    "check_packages",
    "check_profile",
    "check_python",
    "check_speed",
    "check_terminal",
    "check_wakeups",
    "check_writable",
    "gather_findings",
    "gather_speeds",
]

FindingState: TypeAlias = Literal["ok", "warn", "fail"]
"""``warn``: a conversation works, but worse. ``fail``: it does not."""

_PYTHON = (3, 11)
_GIB = 1024**3
_LOW_MEMORY_GIB = 1.5
_LOW_DISK_GIB = 0.5
_COARSE_CLOCK_S = 1e-3
_LATE_WAKEUP_MS = 5.0
_WAKEUPS = 150
_SLEEP_S = 1e-3
_LIMITS = {"vad": 10.0, "turn": 150.0, "asr": 0.7, "llm": 80.0, "tts": 100.0}
"""Slower than this, a stage delays the answer noticeably; in the units of ``tuning.Speed``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about this machine.

    Attributes:
        subject: what was looked at.
        state: whether it will do.
        detail: what was found, one line.
        way_out: what to do about it; empty if nothing has to be done.
    """

    subject: str
    state: FindingState
    detail: str
    way_out: str = ""


def check_python(version: tuple[int, int, int]) -> Finding:
    """Judge the interpreter's version."""
    text = ".".join(map(str, version))
    if version[:2] < _PYTHON:
        return Finding("python", "fail", text, "install Python 3.11 or newer")
    return Finding("python", "ok", text)


def check_packages(
    requirements: Iterable[str], version_of: Callable[[str], str] = importlib.metadata.version
) -> Finding:
    """Judge whether every required package is installed.

    Args:
        requirements: as package metadata writes them, ``torch>=2.6; extra == "x"``.
        version_of: a package's version; raises ``PackageNotFoundError``.
    """
    found, absent = [], []
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found.append(f"{name} {version_of(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        return Finding(
            "packages",
            "fail",
            f"not installed: {', '.join(absent)}",
            "install voicebot anew, with its dependencies",
        )
    return Finding("packages", "ok", ", ".join(found))


def check_model(store: ModelStore, name: str) -> Finding:
    """Judge one model, reading all of its files."""
    subject = f"model {name}"
    try:
        facts = store.verify(name)
    except ModelError as error:
        return Finding(subject, "fail", error.problem, error.way_out)
    if not store.is_ready(name):
        return Finding(
            subject, "warn", f"is {store.state(name)}", f"run `voicebot models pull {name}`"
        )
    how = "whole, with no checksum to hold it to" if facts.is_own else "verified"
    return Finding(subject, "ok", f"{how}, sha256 {facts.sha256[:12]}…")


def check_machine(machine: MachineFacts) -> Finding:
    """Say what ``auto`` reckons with."""
    gpu = (
        f", graphics card with {machine.gpu_memory_bytes / _GIB:.0f} GiB"
        if machine.gpu_memory_bytes
        else ", no graphics card that models can use"
    )
    return Finding(
        "reckoning",
        "ok",
        f"{machine.gflops:.0f} GFLOP/s, reads {machine.read_gb_s:.0f} GB/s{gpu}",
    )


def check_profile(chosen: ChosenProfile) -> Finding:
    """Say which profile was chosen, why, and what will go worse with it."""
    stages = ", ".join(
        f"{stage.engine}:{stage.model}" if stage.model else stage.engine
        for stage in (chosen.asr, chosen.llm, chosen.tts)
    )
    detail = f"{chosen.name} ({chosen.reason}): {stages}"
    if chosen.warnings:
        return Finding("profile", "warn", detail, "; ".join(chosen.warnings))
    return Finding("profile", "ok", detail)


def check_audio(kind: Literal["input", "output"], query: Callable[[str], str]) -> Finding:
    """Judge whether there is a sound device.

    Args:
        kind: which way.
        query: the default device's name for a kind; raises OSError without PortAudio's library,
            and ValueError or RuntimeError without a device.
    """
    subject = {"input": "microphone", "output": "speaker"}[kind]
    try:
        return Finding(subject, "ok", query(kind))
    except ImportError as error:
        return Finding(subject, "warn", str(error), "install voicebot anew")
    except OSError:
        return Finding(
            subject,
            "warn",
            "PortAudio's library is not installed",
            "`apt-get install libportaudio2`, or PortAudio's package of your system",
        )
    except (ValueError, RuntimeError):
        return Finding(
            subject,
            "warn",
            "no device; `voicebot bench` needs none, `voicebot chat` does",
            "connect one, and see that this user may use it (group audio)",
        )


def check_cores(cores: int, load: float) -> Finding:
    """Judge the cores this process may use against the load of the last minute."""
    detail = f"{cores} usable, load {load:.1f}"
    if load > cores:
        return Finding("cores", "warn", detail, "close what else is running, or wait")
    if cores == 1:
        return Finding("cores", "warn", detail, "stages wait for each other on a single core")
    return Finding("cores", "ok", detail)


def check_memory(available_bytes: int) -> Finding:
    """Judge the memory that can be had."""
    detail = f"{available_bytes / _GIB:.1f} GiB available"
    if available_bytes < _LOW_MEMORY_GIB * _GIB:
        return Finding("memory", "warn", detail, "close other programs, or take a smaller model")
    return Finding("memory", "ok", detail)


def check_disk(folder: Path, free_bytes: int) -> Finding:
    """Judge the free space where models go."""
    detail = f"{free_bytes / _GIB:.1f} GiB free for {folder}"
    if free_bytes < _LOW_DISK_GIB * _GIB:
        return Finding("disk", "warn", detail, "free some space before models are fetched")
    return Finding("disk", "ok", detail)


def check_clock(resolution_s: float) -> Finding:
    """Judge the clock that latencies are measured with."""
    detail = f"resolution {resolution_s * 1e9:.0f} ns"
    if resolution_s > _COARSE_CLOCK_S:
        return Finding("clock", "warn", detail, "latencies cannot be told finer than this")
    return Finding("clock", "ok", detail)


def check_wakeups(late_ms: Sequence[float]) -> Finding:
    """Judge how late this machine wakes a sleeper (two or more values)."""
    p99_ms = statistics.quantiles(late_ms, n=100)[-1]
    detail = f"late by {statistics.median(late_ms):.2f} ms (median), {p99_ms:.2f} ms (p99)"
    if p99_ms > _LATE_WAKEUP_MS:
        return Finding(
            "wake-ups", "warn", detail, "close what else is running; measured latencies will jitter"
        )
    return Finding("wake-ups", "ok", detail)


def check_terminal(encoding: str, *, is_terminal: bool) -> Finding:
    """Judge where text goes."""
    detail = f"{encoding or 'no encoding'}, {'a terminal' if is_terminal else 'not a terminal'}"
    if encoding.lower().replace("-", "") != "utf8":
        return Finding("terminal", "warn", detail, "set PYTHONUTF8=1, or a UTF-8 locale")
    return Finding("terminal", "ok", detail)


def check_writable(subject: str, folder: Path) -> Finding:
    """Judge whether files can be made in ``folder``, or in its nearest parent that exists."""
    place = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return Finding(subject, "ok", f"{folder} can be written to")
    except OSError as error:
        return Finding(
            subject,
            "warn",
            f"{folder} cannot be written to: {error.strerror}",
            "change its permissions, or set another folder",
        )


def check_speed(speed: Speed) -> Finding:
    """Judge one stage's speed against what a conversation can bear."""
    plural = "" if speed.threads == 1 else "s"
    threads = "" if speed.threads is None else f" with {speed.threads} thread{plural}"
    detail = f"{speed.value:.3g} {speed.quantity}{threads}"
    if speed.value > _LIMITS[speed.stage]:
        return Finding(
            f"speed of {speed.stage}",
            "warn",
            detail,
            "close what else is running, or take a smaller model for this stage",
        )
    return Finding(f"speed of {speed.stage}", "ok", detail)


def gather_findings(store: ModelStore, models: Iterable[str]) -> Iterator[Finding]:
    """Look at this machine, one finding after the other; takes about a second.

    Args:
        store: the folder of models.
        models: the names of those that are needed.
    """
    import psutil  # noqa: PLC0415 (start-up time)

    yield check_python(sys.version_info[:3])
    yield check_packages(importlib.metadata.requires("voicebot") or ())
    for name in models:
        yield check_model(store, name)
    yield check_audio("input", _default_device)
    yield check_audio("output", _default_device)
    yield check_cores(usable_cores(), psutil.getloadavg()[0])
    yield check_memory(psutil.virtual_memory().available)
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.exists())
    yield check_disk(store.root, shutil.disk_usage(place).free)
    yield check_clock(time.get_clock_info("perf_counter").resolution)
    yield check_wakeups(_late_wakeups_ms())
    yield Finding(
        "thread switches", "ok", f"Python's switch interval is {sys.getswitchinterval() * 1e3:g} ms"
    )
    yield check_terminal(sys.stdout.encoding or "", is_terminal=os.isatty(1))
    yield check_writable("models folder", store.root)


def gather_speeds(
    store: ModelStore, chosen: ChosenProfile, settings: Settings
) -> Iterator[Finding]:
    """Measure each stage of the chosen profile; keep the best thread counts.

    Takes some ten seconds, more for large models. A stage whose model is not here, or that fails,
    gives a finding too. A stage whose settings have ``threads`` is measured with several.
    """
    speech: list[Samples] = []
    yield from _guarded("vad", lambda: [_measure_vad(store)])
    yield from _spoken("tts", chosen, settings, store, _measuring_tts(speech))
    if speech:
        yield from _spoken("asr", chosen, settings, store, _measuring_asr(speech))
    yield from _tuned("turn", "smart-turn-v3.2", lambda count: _measure_turn(store, count))
    yield from _spoken("llm", chosen, settings, store, lambda llm: measure_llm(llm, 0))


def _spoken(
    role: SpokenRole,
    chosen: ChosenProfile,
    settings: Settings,
    store: ModelStore,
    measure: Callable[[Any], Speed],
) -> Iterator[Finding]:
    """Measure one stage with whatever engine was chosen for it."""

    def build_and_measure(threads: int | None) -> Speed:
        section = getattr(settings, role)
        if threads is not None:
            section = section.model_copy(update={"threads": threads})
        wanted = settings.model_copy(update={role: section})
        engine = _factory(role)(getattr(chosen, role), wanted, store)()
        try:
            return replace(measure(engine), threads=threads)
        finally:
            engine.close()

    if "threads" in type(getattr(settings, role)).model_fields:
        yield from _tuned(role, getattr(chosen, role).model, build_and_measure)
    else:
        yield from _guarded(role, lambda: [build_and_measure(None)])


def _factory(role: SpokenRole) -> Callable[..., Callable[[], Any]]:
    from voicebot.builders import asr_factory, llm_factory, tts_factory  # noqa: PLC0415

    return {"asr": asr_factory, "llm": llm_factory, "tts": tts_factory}[role]


def _guarded(stage: str, measure: Callable[[], list[Speed]]) -> Iterator[Finding]:
    try:
        speeds = measure()
    except VoicebotError as error:
        yield Finding(f"speed of {stage}", "fail", error.problem, error.way_out)
        return
    for speed in speeds:
        yield check_speed(speed)


def _tuned(stage: TunedStage, model: str, measure: Callable[[int], Speed]) -> Iterator[Finding]:
    speeds: list[Speed] = []
    try:
        speeds.extend(measure(count) for count in thread_counts(usable_cores()))
    except VoicebotError as error:
        yield Finding(f"speed of {stage}", "fail", error.problem, error.way_out)
        return
    try:
        chosen = keep_threads(stage, model, speeds)
    except OSError as error:
        yield Finding(
            f"threads of {stage}",
            "warn",
            f"the choice cannot be kept: {error.strerror}",
            "make the user's cache folder writable",
        )
        return
    yield check_speed(next(speed for speed in speeds if speed.threads == chosen))
    tried = ", ".join(f"{speed.threads}: {speed.value:.3g}" for speed in speeds)
    yield Finding(
        f"threads of {stage}", "ok", f"{chosen} chosen ({speeds[0].quantity} by threads: {tried})"
    )


# Engines bring heavy libraries along, so each is imported where it is measured.
def _measure_vad(store: ModelStore) -> Speed:
    from voicebot.turns.silero import SileroVad  # noqa: PLC0415

    vad = SileroVad(store.path("silero-vad-v6"))
    try:
        return measure_vad(vad)
    finally:
        vad.close()


def _measuring_tts(speech: list[Samples]) -> Callable[[Tts], Speed]:
    """What measures a synthesiser, and leaves what it said in ``speech``."""

    def measure(tts: Tts) -> Speed:
        import soxr  # noqa: PLC0415

        from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ  # noqa: PLC0415

        measure_tts(tts)  # the first sentence also reads the voice from disk
        speed, samples = measure_tts(tts)
        speech[:] = [soxr.resample(samples, tts.sample_rate_hz, INPUT_SAMPLE_RATE_HZ)]
        return speed

    return measure


def _measuring_asr(speech: list[Samples]) -> Callable[[Asr], Speed]:
    return lambda asr: measure_asr(asr, speech[0])


def _measure_turn(store: ModelStore, threads: int) -> Speed:
    from voicebot.turns.smart_turn import SmartTurn  # noqa: PLC0415

    detector = SmartTurn(store.path("smart-turn-v3.2"), threads)
    try:
        return measure_turn_detector(detector, threads)
    finally:
        detector.close()


def _default_device(kind: str) -> str:
    import sounddevice  # noqa: PLC0415 (raises OSError without PortAudio's library)

    try:
        return str(sounddevice.query_devices(kind=kind)["name"])
    except sounddevice.PortAudioError as error:
        raise RuntimeError(str(error)) from error


def _late_wakeups_ms() -> list[float]:
    late_ms = []
    for _ in range(_WAKEUPS):
        begun = time.perf_counter()
        time.sleep(_SLEEP_S)
        late_ms.append((time.perf_counter() - begun - _SLEEP_S) * 1e3)
    return late_ms
