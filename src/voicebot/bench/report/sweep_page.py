"""A sweep as one web page that needs nothing but itself, not even scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from voicebot.bench.files import write_text_atomically
from voicebot.bench.report import wording
from voicebot.bench.report.page_parts import content_hash, new_environment, read_part
from voicebot.bench.report.sweep_chart import curve_class, mean_chart, p95_chart
from voicebot.bench.summary import caveats

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.record import Run
    from voicebot.bench.sweep import Sweep

__all__ = ["render_sweep", "write_sweep_page"]


def render_sweep(sweep: Sweep, first: Run) -> str:
    """The page for ``sweep``, as HTML.

    Args:
        sweep: what was played.
        first: the default's run, for the circumstances and what stands against its figures.
    """
    style = read_part("page.css") + read_part("sweep.css")
    return (
        new_environment()
        .from_string(read_part("sweep.html.jinja"))
        .render(
            sweep=sweep,
            meta=first.meta,
            partial=first.partial,
            caveats=caveats(first),
            mean_chart=mean_chart(sweep),
            p95_chart=p95_chart(sweep),
            curve_class=curve_class,
            count=wording.as_count,
            style=Markup(style),  # noqa: S704 - files of this package
            style_hash=content_hash(style),
        )
    )


def write_sweep_page(sweep: Sweep, first: Run, path: Path) -> None:
    """Write the page for ``sweep`` to ``path``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text_atomically(path, render_sweep(sweep, first))
