"""What every test may use: conversations in virtual time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.virtual_time import run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder: ``conversations``

from whisper_tools import load_tool


@pytest.fixture
def virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a loop whose clock jumps instead of waiting."""
    return run_in_virtual_time


@pytest.fixture(scope="session")
def untrained_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny multilingual Whisper with random weights: it loads and runs, and writes nonsense."""
    folder = tmp_path_factory.mktemp("whisper") / "untrained"
    load_tool("make_tiny_whisper").make_tiny_whisper(folder, steps=0, multilingual=True)
    return folder


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny English Whisper that understands seven words; takes half a minute to train."""
    folder = tmp_path_factory.mktemp("whisper") / "tiny.en"
    load_tool("make_tiny_whisper").make_tiny_whisper(folder)
    return folder
