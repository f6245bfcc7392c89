"""A scaling run as one web page that needs nothing but itself, not even scripts."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from markupsafe import Markup

from voicebot.bench.files import write_text_atomically
from voicebot.bench.report import wording
from voicebot.bench.report.page_parts import content_hash, new_environment, read_part
from voicebot.bench.report.scaling_chart import in_parameters, scaling_chart
from voicebot.bench.scaling.measure import READ_TOKENS, WRITTEN_TOKENS

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.scaling.answers import ScalingRun, ThreadResult

__all__ = ["render_scaling", "verdict_of", "write_scaling_page"]


def verdict_of(run: ScalingRun) -> str:
    """The answer in a sentence: by the number of threads that carries the largest model."""
    best = max(run.results, key=lambda result: result.largest[0].parameters or 0.0)
    here, twice, *_ = best.largest
    target = f"within {here.target_ms:.0f} ms"
    if here.parameters is None:
        return f"No model of this ladder writes its first clause {target} on this machine."
    reach = "" if here.is_measured else ", beyond what was measured"
    sentence = (
        f"With {wording.as_count(best.threads, 'thread', 'threads')}, a language model of up to "
        f"{in_parameters(here.parameters)} parameters writes its first clause {target}{reach}"
    )
    if twice.parameters is not None:
        sentence += f"; twice the machine would carry {in_parameters(twice.parameters)}"
    return sentence + "."


def render_scaling(run: ScalingRun) -> str:
    """The page for ``run``, as HTML."""
    style = read_part("page.css") + read_part("scaling.css")
    first = run.results[0]
    target_ms = first.largest[0].target_ms
    made = sum(weights == "shape-true" for weights in run.weights.values())
    return (
        new_environment()
        .from_string(read_part("scaling.html.jinja"))
        .render(
            run=run,
            verdict=verdict_of(run),
            made=made,
            chart=scaling_chart(run.results, target_ms),
            target_ms=target_ms,
            contexts=sorted(first.write_ms),
            rounds=max(len(values) for values in first.first_clause_ms.values()),
            read_tokens=READ_TOKENS,
            written_tokens=WRITTEN_TOKENS,
            count=wording.as_count,
            in_parameters=in_parameters,
            median=statistics.median,
            one_digit=lambda value: wording.as_number(value, 1),
            two_digits=lambda value: wording.as_number(value, 2),
            worst_residual=_worst_residual,
            worst_held_out=_worst_held_out,
            style=Markup(style),  # noqa: S704 - files of this package
            style_hash=content_hash(style),
        )
    )


def write_scaling_page(run: ScalingRun, path: Path) -> None:
    """Write the page for ``run`` to ``path``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text_atomically(path, render_scaling(run))


def _worst_residual(result: ThreadResult) -> float:
    return max(result.law.residuals.values(), key=abs)


def _worst_held_out(result: ThreadResult) -> str:
    if not result.held_out:
        return "too few sizes"
    worst = max(result.held_out, key=lambda each: abs(each.error))
    where = "beyond the others" if worst.is_outside else "between the others"
    return f"{in_parameters(worst.x)}: {wording.as_percent(worst.error)} ({where})"
