"""A sweep as one web page that needs nothing but itself, not even scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from voicebot.bench.files import write_text_atomically
from voicebot.bench.report import wording
from voicebot.bench.report.page_parts import content_hash, new_environment, read_part
from voicebot.bench.report.sweep_chart import curve_class, mean_chart, p95_chart

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.record import RunMeta
    from voicebot.bench.sweep import Sweep

__all__ = ["render_sweep", "write_sweep_page"]


def render_sweep(sweep: Sweep, meta: RunMeta, *, partial: bool) -> str:
    """The page for ``sweep``, as HTML.

    Args:
        sweep: what was played.
        meta: the circumstances, as of the default's run.
        partial: the run was ended before every caller had spoken to every point.
    """
    style = read_part("page.css") + read_part("sweep.css")
    return (
        new_environment()
        .from_string(read_part("sweep.html.jinja"))
        .render(
            sweep=sweep,
            meta=meta,
            partial=partial,
            mean_chart=mean_chart(sweep),
            p95_chart=p95_chart(sweep),
            curve_class=curve_class,
            count=wording.as_count,
            style=Markup(style),  # noqa: S704 - files of this package
            style_hash=content_hash(style),
        )
    )


def write_sweep_page(sweep: Sweep, meta: RunMeta, path: Path, *, partial: bool) -> None:
    """Write the page for ``sweep`` to ``path``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text_atomically(path, render_sweep(sweep, meta, partial=partial))
