"""Progress bars of what is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.models.registry import find_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from voicebot.models.progress import FetchProgress
    from voicebot.models.registry import Model
    from voicebot.models.store import ModelStore

__all__ = ["model_size", "pull_with_progress"]


def model_size(model: Model) -> str:
    """The size of what is fetched for ``model``, for people to read."""
    if model.size_bytes is None:
        return "not known"
    return f"{model.size_bytes / 1e6:.0f} MB" if model.size_bytes else "bundled"


def pull_with_progress(
    store: ModelStore, names: Iterable[str], console: Console
) -> tuple[str, ...]:
    """Fetch what is not ready of ``names``, a bar for each; see ``ModelStore.pull``.

    Each model's size, source and licence are said first, also where bars cannot be drawn.
    """
    names = tuple(names)
    for name in names:
        if not store.is_ready(name):
            model = find_model(name)
            console.print(
                f"Fetching {name}: {model_size(model)} from {model.source.label}, "
                f"licence {model.licence}",
                markup=False,
                soft_wrap=True,
            )
    with _progress_bars(console) as progress:
        return store.pull(names, _FetchBars(progress))


class _FetchBars:
    """Draws what the store reports, a bar for each model."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, fetch: FetchProgress) -> None:
        if fetch.model not in self._tasks:
            self._tasks[fetch.model] = self._progress.add_task(fetch.model, phase=fetch.phase)
        task = self._tasks[fetch.model]
        if fetch.phase == "downloading":
            self._progress.update(
                task, phase=fetch.phase, completed=fetch.done_bytes, total=fetch.total_bytes
            )
        else:
            # The bytes are here: what follows has no measure of its own.
            self._progress.update(task, phase=fetch.phase)
            if fetch.phase == "done":
                self._progress.update(task, total=1, completed=1)


def _progress_bars(console: Console) -> Progress:
    from rich.progress import (  # noqa: PLC0415 (start-up time)
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[phase]}"),
        console=console,
        transient=True,
    )
