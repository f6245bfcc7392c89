"""What a run was made with: machine, packages, models, configuration."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from voicebot import __version__
from voicebot.bench.record import AudioPath, Host, MachineState, ModelUsed, PlayedScenario, RunMeta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["describe_host", "describe_packages", "run_meta", "source_commit"]

_PACKAGES = (
    "ctranslate2",
    "espeakng-loader",
    "faster-whisper",
    "livekit",
    "numpy",
    "onnx",
    "onnxruntime",
    "openai",
    "piper-tts",
    "pocketsphinx",
    "sounddevice",
    "soundfile",
    "soxr",
    "tokenizers",
    "torch",
    "transformers",
    "wyoming",
)
_GIB = 1024.0**3
_GIT_TIMEOUT_S = 5.0


def describe_host() -> Host:
    """This machine."""
    return Host(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / _GIB, 1),
        os=platform.platform(),
        python=platform.python_version(),
    )


def describe_packages() -> Mapping[str, str]:
    """The installed versions of the packages that matter for speed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_commit() -> str | None:
    """The commit of the checkout that runs, with ``+`` if it was changed; None if not known."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603  # fixed arguments
                ["git", "-C", str(folder), *arguments],  # noqa: S607  # git as the user has it
                capture_output=True,
                text=True,
                timeout=_GIT_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if not commit or git("ls-files", "--error-unmatch", str(Path(__file__).resolve())) is None:
        return None  # installed inside some other repository's folder
    return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def run_meta(
    *,
    profile: str,
    config: Mapping[str, object],
    models: Sequence[ModelUsed],
    audio: AudioPath,
    started_at: datetime,
    startup_s: float | None,
    commit: str | None,
    loop_stall_p95_ms: float | None,
    true_ends: str = "labelled",
    machine: MachineState | None = None,
    scenario: PlayedScenario | None = None,
) -> RunMeta:
    """Everything that names the circumstances of a run."""
    return RunMeta(
        started_at=started_at.isoformat(timespec="seconds"),
        version=__version__,
        commit=commit,
        host=describe_host(),
        packages=describe_packages(),
        profile=profile,
        config=config,
        models=tuple(models),
        audio=audio,
        startup_s=startup_s,
        loop_stall_p95_ms=loop_stall_p95_ms,
        true_ends=true_ends,
        machine=machine,
        scenario=scenario,
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
