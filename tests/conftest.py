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


@pytest.fixture
def virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a loop whose clock jumps instead of waiting."""
    return run_in_virtual_time
