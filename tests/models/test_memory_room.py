from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voicebot.errors import EngineError
from voicebot.models.memory_room import MemoryRoom, check_memory_room, least_bytes, memory_room
from voicebot.models.references import find_reference
from voicebot.models.registry import MODELS

if TYPE_CHECKING:
    from pathlib import Path

EMBEDDED = [MODELS[name] for name in ("pocketsphinx-en-us", "smollm2-135m-instruct", "espeak-ng")]
WITH_WHISPER = [MODELS["faster-whisper-tiny.en"], *EMBEDDED[1:]]
GB = 10**9


def test_weights_are_reckoned_with_one_byte_each() -> None:
    model = MODELS["faster-whisper-tiny.en"]
    assert least_bytes(model) == model.parameters


def test_a_model_of_the_users_own_is_reckoned_by_its_largest_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"x" * 1000)
    assert least_bytes(find_reference(str(tmp_path))) == 500


def test_what_fits_passes() -> None:
    check_memory_room(EMBEDDED, MemoryRoom(GB, None))
    check_memory_room(WITH_WHISPER, MemoryRoom(GB, 2 * GB))


def test_too_little_memory_is_one_line() -> None:
    with pytest.raises(EngineError, match=r"not enough memory for .*smollm2-135m") as caught:
        check_memory_room(EMBEDDED, MemoryRoom(50 * 10**6, None))
    assert "50 MB are free: choose smaller models" in str(caught.value)


def test_a_limit_counts_the_engines_too() -> None:
    check_memory_room(EMBEDDED, MemoryRoom(GB, GB))
    with pytest.raises(EngineError, match="ulimit -v unlimited"):
        check_memory_room(WITH_WHISPER, MemoryRoom(GB, GB))


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_the_limit_of_the_process_is_seen() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, -1))\n"
        "from voicebot.models.memory_room import memory_room\n"
        "assert 10**9 < memory_room().address_bytes < 3 * 10**9"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert memory_room().memory_bytes > 0
