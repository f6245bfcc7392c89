"""``voicebot bench compare``, ``definitions`` and ``export``: what can be done with stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.errors import VoicebotError

if TYPE_CHECKING:
    from voicebot.bench.record import Run
    from voicebot.cli.context import CliContext

__all__ = ["compare_command", "definitions_command", "export_command"]

_RUN = click.Path(path_type=Path)
_FORMS = {
    "markdown": "report.md",
    "csv": "turns.csv",
    "trace": "trace.json",
    "html": "report.html",
    "svg": "card.svg",
}


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", type=_RUN)
@click.option(
    "--force", is_flag=True, help="Compare runs of different machines or callers all the same."
)
@click.option("--latency-kinds", metavar="KIND[,...]", help="Take latencies of these kinds only.")
@click.option(
    "--out", "out_file", type=_RUN, metavar="FILE", help="Write the comparison there as JSON, too."
)
@click.pass_obj
def compare_command(
    context: CliContext,
    *,
    runs: tuple[Path, ...],
    force: bool,
    latency_kinds: str | None,
    out_file: Path | None,
) -> None:
    """Hold stored runs against the first of them, turn by turn.

    A RUN is a folder that `voicebot bench` wrote, or its run.json. Differences are paired; a
    verdict is given only where the 95 % interval allows one. Runs of different machines or
    callers are refused without --force.
    """
    from voicebot.bench.comparison import compare, write_comparison  # noqa: PLC0415 (start-up)
    from voicebot.bench.comparison_table import comparison_table  # noqa: PLC0415
    from voicebot.bench.stored_runs import changed_settings, obstacles, read_runs  # noqa: PLC0415
    from voicebot.bench.verdict import verdicts  # noqa: PLC0415

    stored = read_runs(runs)
    found = obstacles(stored)
    if found and not force:
        raise VoicebotError(
            f"these runs cannot fairly be compared: {'; '.join(found)}",
            "play the same callers on the same machine, or add --force",
        )
    first = stored[0].run
    comparison = compare(
        {each.name: each.run.turns for each in stored},
        {each.name: changed_settings(first, each.run) for each in stored},
        latency_kinds=[kind.strip() for kind in (latency_kinds or "").split(",") if kind.strip()],
    )
    for obstacle in found:
        context.console.print(f"! {obstacle}", style="yellow", markup=False, soft_wrap=True)
    context.console.print(comparison_table(comparison))
    for variant in comparison.variants[1:]:
        changes = ", ".join(variant.assignments) or "no setting"
        context.console.print(f"{variant.name} differs in: {changes}", markup=False, soft_wrap=True)
    for sentence in verdicts(comparison):
        context.console.print(sentence, style="bold", markup=False, soft_wrap=True)
    if out_file is not None:
        write_comparison(comparison, out_file)
        context.console.print(f"Record: {out_file}", soft_wrap=True)


@click.command("definitions")
@click.argument("run", type=_RUN)
@click.pass_obj
def definitions_command(context: CliContext, *, run: Path) -> None:
    """Time the turns of a stored run as other projects time theirs."""
    from voicebot.bench.definitions_table import definitions_table  # noqa: PLC0415 (start-up)

    context.console.print(definitions_table(_read(run).turns))


@click.command("export")
@click.argument("run", type=_RUN)
@click.option(
    "--as",
    "form",
    type=click.Choice(list(_FORMS)),
    required=True,
    help="markdown: figures for a README. csv: a row a turn. trace: for ui.perfetto.dev. html: "
    "the report, anew. svg: a picture for a README.",
)
@click.option(
    "--out", "out_file", type=_RUN, metavar="FILE", help="Instead of a file beside run.json."
)
@click.pass_obj
def export_command(context: CliContext, *, run: Path, form: str, out_file: Path | None) -> None:
    """Write a stored run in another form."""
    file = _file_of(run)
    target = out_file or file.with_name(_FORMS[form])
    _write(_read(run), form, target)
    context.console.print(f"Wrote {target}", soft_wrap=True)


def _write(run: Run, form: str, target: Path) -> None:
    from voicebot.bench.files import write_text_atomically  # noqa: PLC0415 (start-up)

    match form:
        case "markdown":
            from voicebot.bench.markdown_report import markdown_of  # noqa: PLC0415

            write_text_atomically(target, markdown_of(run))
        case "csv":
            from voicebot.bench.turn_rows import csv_of  # noqa: PLC0415

            write_text_atomically(target, csv_of(run))
        case "trace":
            from voicebot.bench.chrome_trace import write_trace  # noqa: PLC0415

            write_trace(run, target)
        case "svg":
            from voicebot.bench.report.card import card_of  # noqa: PLC0415

            write_text_atomically(target, card_of(run) + "\n")
        case _:
            from voicebot.bench.report import write_report  # noqa: PLC0415

            write_report(run, target)


def _file_of(path: Path) -> Path:
    return path / "run.json" if path.is_dir() else path


def _read(path: Path) -> Run:
    from voicebot.bench.record import read_run  # noqa: PLC0415 (start-up)

    return read_run(_file_of(path))
