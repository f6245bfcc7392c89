"""What a fetch will cost, said before it, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voicebot.models.estimate import (
    check_disk,
    estimate_fetches,
    readable_bytes,
    table_estimate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from voicebot.models.estimate import Estimate
    from voicebot.models.progress import FetchProgress
    from voicebot.models.registry import Model
    from voicebot.models.store import ModelStore

__all__ = ["announce_fetches", "fetch_lines", "model_size", "pull_with_progress"]


def model_size(model: Model) -> str:
    """The size of what is fetched for ``model``, for people to read."""
    size_bytes, is_exact = table_estimate(model)
    if size_bytes is None:
        return "not known"
    if not size_bytes:
        return "bundled"
    return ("" if is_exact else "~") + readable_bytes(size_bytes)


def fetch_lines(
    estimates: Sequence[Estimate], *, free_bytes: int, memory_bytes: int
) -> tuple[str, ...]:
    """What is to be fetched, a line for each model and one for all of them.

    Args:
        estimates: what is to be fetched.
        free_bytes: the free space on the disk.
        memory_bytes: the memory that can be had now.
    """
    lines = [
        f"Fetching {one.model}: {one.size} from {one.source}, licence {one.licence}"
        + (", which asks for consent first" if one.gated else "")
        for one in estimates
    ]
    known = [one for one in estimates if one.download_bytes is not None]
    total = sum(one.download_bytes or 0 for one in known)
    about = "" if len(known) == len(estimates) and all(one.is_exact for one in known) else "~"
    loaded = sum(one.memory_bytes or 0 for one in estimates)
    summary = f"Download {about}{readable_bytes(total)}, {readable_bytes(free_bytes)} of disk free"
    if len(known) < len(estimates):
        summary += f", {len(estimates) - len(known)} of unknown size"
    if loaded:
        summary += (
            f"; loaded ~{readable_bytes(loaded)} of {readable_bytes(memory_bytes)} memory available"
        )
        if loaded > memory_bytes:
            summary += " (too little: close other programs, or take smaller models)"
    return (*lines, summary)


def announce_fetches(
    store: ModelStore, names: Iterable[str], console: Console, *, ask: bool = False
) -> None:
    """Say what fetching ``names`` costs, and refuse what does not fit on the disk.

    Args:
        store: the folder of models.
        names: names of models; those that are here already cost nothing.
        console: where to say it.
        ask: ask whether to go on. Only for a terminal.

    Raises:
        ModelFetchError: the disk is too small.
        click.Abort: the answer was no.
    """
    import psutil  # noqa: PLC0415 (start-up time)

    estimates = estimate_fetches(store, names)
    if not estimates:
        return
    free_bytes = store.free_bytes()
    for line in fetch_lines(
        estimates, free_bytes=free_bytes, memory_bytes=psutil.virtual_memory().available
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    check_disk(estimates, free_bytes, str(store.root))
    if ask:
        click.confirm("Go on?", default=True, abort=True, err=True)


def pull_with_progress(
    store: ModelStore, names: Iterable[str], console: Console
) -> tuple[str, ...]:
    """Fetch what is not ready of ``names``, a bar for each; see ``ModelStore.pull``."""
    with _progress_bars(console) as progress:
        return store.pull(tuple(names), _FetchBars(progress))


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
