"""An event loop whose clock jumps instead of waiting: minutes of conversation in milliseconds.

What is blocking takes no time on it; only what waits on the loop does.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["run_in_virtual_time"]

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
    """Run ``work`` to its end on a loop of its own that starts at 0 s."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(work)
