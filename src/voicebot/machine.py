"""What this machine can do: cores, memory, a graphics card, and how fast it reckons.

The measurement is a few short bursts, the best of which counts, since other work only slows one
down. It is kept in the user's cache folder for this machine, its graphics card and these
versions. One that was made while the machine was busy is used until the machine is quiet; then it
is made again, and the better of both counts. ``voicebot doctor`` measures anew.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import platformdirs

from voicebot.tuning import host_key, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["MachineFacts", "has_graphics_card", "kept_facts", "machine_path", "measure_machine"]

_SCHEMA = "voicebot.machine/2"
_SIDE = 1024
_PRODUCTS = 12
_READ_BYTES = 256 * 1024**2
_READS = 8
_KEPT_FOR_S = 30 * 24 * 3600.0
"""A machine gets other memory or cooling now and then; measuring is cheap."""

_MIB = 1024**2
_SMI_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What models can count on here.

    Attributes:
        cores: those that this process may use.
        memory_bytes: all of the memory.
        gflops: single-precision matrix products on all cores, in 10^9 operations a second.
        read_gb_s: how fast weights come out of memory, in 10^9 bytes a second.
        gpu_memory_bytes: of the largest graphics card that models can run on; 0 without one.
    """

    cores: int
    memory_bytes: int
    gflops: float
    read_gb_s: float
    gpu_memory_bytes: int = 0


def measure_machine(*, clock: Callable[[], float] = time.perf_counter) -> MachineFacts:
    """Measure; the best of a few runs counts, since other work only ever slows one down."""
    import numpy as np  # noqa: PLC0415 (start-up time)
    import psutil  # noqa: PLC0415

    square = np.full((_SIDE, _SIDE), 0.5, dtype=np.float32)
    result = np.empty_like(square)
    product_s = min(
        _timed(lambda: np.matmul(square, square, out=result), clock) for _ in range(_PRODUCTS)
    )
    weights = np.ones(_READ_BYTES // 4, dtype=np.float32)
    read_s = min(_timed(weights.sum, clock) for _ in range(_READS))
    return MachineFacts(
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gflops=2 * _SIDE**3 / max(product_s, 1e-9) / 1e9,
        read_gb_s=_READ_BYTES / max(read_s, 1e-9) / 1e9,
        gpu_memory_bytes=_gpu_memory_bytes(),
    )


def _is_busy() -> bool:
    import psutil  # noqa: PLC0415 (start-up time)

    return psutil.getloadavg()[0] > usable_cores()


def machine_path() -> Path:
    """Where the measurement is kept."""
    return platformdirs.user_cache_path("voicebot", appauthor=False) / "machine.json"


def kept_facts(
    *,
    anew: bool = False,
    measure: Callable[[], MachineFacts] = measure_machine,
    is_busy: Callable[[], bool] = _is_busy,
    path: Path | None = None,
    now_s: Callable[[], float] = time.time,
    card_bytes: Callable[[], int] | None = None,
) -> MachineFacts:
    """The measurement of this machine, made now if there is none yet that will do.

    One that is a month old, or was made while other programs wanted all cores, is made again as
    soon as they do not; until then it is used. Of two bursts of measuring the better counts.

    Args:
        anew: measure even if there is one.
        measure: what measures.
        is_busy: whether other programs want all cores.
        path: the file it is kept in, else the user's.
        now_s: the time, in seconds since 1970.
        card_bytes: the memory of the graphics card, without measuring.
    """
    path = path or machine_path()
    card = (card_bytes or _gpu_memory_bytes)()
    key = f"{host_key()}, card {card // _MIB} MiB, {_versions()}"
    kept = _read(path, key)
    busy = is_busy()
    if kept is not None and not anew:
        is_old = not 0 <= now_s() - kept.measured_s <= _KEPT_FOR_S
        if busy or not (is_old or kept.was_busy):
            return kept.facts
    facts = measure()
    if kept is not None and kept.was_busy:
        facts = _better(facts, kept.facts)
    _write(path, key, _Kept(facts, now_s(), busy))
    return facts


@dataclass(frozen=True, slots=True)
class _Kept:
    """A measurement, when it was made (seconds since 1970), and whether others worked, too."""

    facts: MachineFacts
    measured_s: float
    was_busy: bool


def _better(one: MachineFacts, other: MachineFacts) -> MachineFacts:
    """Other work only ever makes a figure smaller."""
    return replace(
        one,
        gflops=max(one.gflops, other.gflops),
        read_gb_s=max(one.read_gb_s, other.read_gb_s),
    )


def _write(path: Path, key: str, kept: _Kept) -> None:
    content = {
        "schema": _SCHEMA,
        "key": key,
        "measured_s": kept.measured_s,
        "was_busy": kept.was_busy,
        "facts": asdict(kept.facts),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:  # a cache: without it the next start measures again
        pass


def _read(path: Path, key: str) -> _Kept | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA or content["key"] != key:
            return None
        facts = MachineFacts(**content["facts"])
        kept = _Kept(facts, float(content["measured_s"]), bool(content["was_busy"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    numbers = asdict(facts).values()
    return kept if all(isinstance(one, int | float) and one >= 0 for one in numbers) else None


def has_graphics_card() -> bool:
    """Whether models can run on a graphics card here: NVIDIA's, or Apple's own."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return _gpu_memory_bytes() > 0


def _gpu_memory_bytes() -> int:
    """The memory of the largest NVIDIA card, asked of its driver; 0 if torch could not use it."""
    if "+cpu" in _version("torch") or (program := shutil.which("nvidia-smi")) is None:
        return 0
    try:
        answer = subprocess.run(  # noqa: S603 (the driver's own program, found on the path)
            [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SMI_TIMEOUT_S,
            check=True,
        )
        return max((int(line) for line in answer.stdout.split()), default=0) * _MIB
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _versions() -> str:
    return ", ".join(f"{name} {_version(name)}" for name in ("voicebot", "numpy", "torch"))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return clock() - begun
