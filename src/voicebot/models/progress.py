"""How far a download is, told by the bytes that lie in its folder.

pip and the hub's library each count in their own way; the folder they both write to does not.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["FetchPhase", "FetchProgress", "OnProgress", "folder_bytes", "watch_growth"]

FetchPhase: TypeAlias = Literal["waiting", "downloading", "unpacking", "preparing", "done"]
"""``waiting``: another process fetches the same model. ``preparing``: converting it."""

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """A download is this far.

    Attributes:
        model: the model's name.
        phase: what is being done.
        done_bytes: how much is here in this phase.
        total_bytes: how much it will be, or None if not known.
    """

    model: str
    phase: FetchPhase
    done_bytes: int = 0
    total_bytes: int | None = None


OnProgress: TypeAlias = "Callable[[FetchProgress], None]"
"""Called from any thread, a few times a second."""


def folder_bytes(folder: Path) -> int:
    """The bytes in all files below ``folder``; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except OSError:  # it was moved or deleted between the two looks: it counts elsewhere
            continue
    return total


@contextmanager
def watch_growth(
    model: str, folder: Path, total_bytes: int | None, on_progress: OnProgress
) -> Iterator[None]:
    """Report the growth of ``folder`` while the body runs.

    Args:
        model: the model's name.
        folder: where its download is written.
        total_bytes: what it will be; more is never reported, since tools keep second copies.
        on_progress: called from a thread of its own.
    """
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            done = folder_bytes(folder)
            shown = done if total_bytes is None else min(done, total_bytes)
            on_progress(FetchProgress(model, "downloading", shown, total_bytes))

    on_progress(FetchProgress(model, "downloading", 0, total_bytes))
    watcher = threading.Thread(target=report, name=f"watch-{model}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
