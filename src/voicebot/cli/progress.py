"""Progress bars of what is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from voicebot.models.store import ModelStore

__all__ = ["pull_with_progress"]


def pull_with_progress(
    store: ModelStore, names: Iterable[str], console: Console
) -> tuple[str, ...]:
    """TEMP."""
    from voicebot.cli.models import _FetchBars, _progress_bars

    with _progress_bars(console) as progress:
        return store.pull(names, _FetchBars(progress))
