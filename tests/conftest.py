"""What every test may use: conversations in virtual time."""

from __future__ import annotations

import asyncio
import selectors
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder: ``conversations``

from whisper_tools import load_tool

ResultT = TypeVar("ResultT")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: time jumps to the next thing that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("virtual time stands still: every task waits for something")
            self.now_s += max(0.0, timeout)
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run_in_virtual_time(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(work)


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
