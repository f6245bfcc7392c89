"""``voicebot bench``: callers speak, the clock runs, the report is written."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.bench.at_once import Traffic
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.files import write_text_atomically
from voicebot.bench.variants import parse_variants
from voicebot.cli.bench_run import BenchRun, ShownRun
from voicebot.cli.bench_runs import compare_command, definitions_command, export_command
from voicebot.cli.bench_scaling import scaling_command
from voicebot.cli.bench_scenarios import open_scenario, scenarios_command
from voicebot.cli.bench_sweep import plan_swept_run
from voicebot.cli.context import takes_settings
from voicebot.errors import CallersError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.callers import Caller
    from voicebot.cli.context import CliContext

__all__ = ["bench_command"]

_PROBE_BYTES = 256 * 1024  # about what a short run takes


@click.group("bench", invoke_without_command=True)
@click.option(
    "--callers",
    "callers_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of callers; without it, the recorded callers that come with voicebot.",
)
@click.option(
    "--scenario",
    "scenario_name",
    metavar="NAME|FILE",
    help="Play a scenario: one that ships (`voicebot bench scenarios`), or a TOML file.",
)
@click.option("--kind", metavar="KIND[,...]", help="Only callers of this kind, or of these.")
@click.option("--limit", type=int, metavar="N", help="At most N callers, sampled over the kinds.")
@click.option("--seed", type=int, metavar="N", help="Which sample, and of the faint room noise.")
@click.option(
    "--out",
    "out_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where run.json and report.html go; without it, a new folder in bench.out_dir.",
)
@click.option(
    "--hang-up-after",
    "hang_up_after_s",
    type=float,
    metavar="S",
    help="Callers hear this many seconds of the last reply, then hang up: shorter runs.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Store what was to be heard of every turn, caller left and bot right, beside the run.",
)
@click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="KEY=VALUE[,...]",
    help="Play a variant with these settings by turns with the plain configuration; may be "
    "repeated. NAME:KEY=VALUE names it.",
)
@click.option(
    "--latency-kinds",
    metavar="KIND[,...]",
    help="With --vary and --sweep: take latencies from turns of these kinds only.",
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Play points of turns.eagerness by turns, with smart-turn alone and voice activity "
    "alone beside it: latency against cut-ins, as sweep.html.",
)
@click.option(
    "--points",
    multiple=True,
    metavar="RULE=E[,...]",
    help="With --sweep: the points of this rule's curve; may be repeated.",
)
@takes_settings
def bench_command(
    context: CliContext,
    *,
    callers_dir: Path | None,
    scenario_name: str | None,
    kind: str | None,
    limit: int | None,
    seed: int | None,
    out_dir: Path | None,
    hang_up_after_s: float | None,
    record: bool,
    varied: tuple[str, ...],
    latency_kinds: str | None,
    sweep: bool,
    points: tuple[str, ...],
) -> None:
    """Measure how fast it answers.

    Without a subcommand, plays every caller in real time through the same session that chat uses,
    writes run.json and report.html, and prints a table. The exit code is 0 when the run is
    complete, whatever its figures are.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    if scenario_name and (callers_dir or kind or limit):
        raise click.UsageError("a scenario says who calls; leave --callers, --kind, --limit out")
    scenario = open_scenario(scenario_name) if scenario_name else None
    if scenario is not None:
        if scenario.told.at_once > 1 and (sweep or varied):
            raise click.UsageError("several callers at once go with one configuration only")
        context = scenario.settle(context)
    context = (
        context.with_flag("bench.callers_dir", "--callers", callers_dir)
        .with_flag("bench.seed", "--seed", seed)
        .with_flag("bench.hang_up_after_s", "--hang-up-after", hang_up_after_s)
    )
    settings = context.settings
    if sweep and varied:
        raise click.UsageError("--sweep plays its own variants; leave --vary out")
    if points and not sweep:
        raise click.UsageError("--points belongs to --sweep")
    if latency_kinds and not (sweep or varied):
        raise click.UsageError("--latency-kinds belongs to --vary and --sweep")
    kinds = _kinds(latency_kinds)
    if sweep:
        variants, shown = plan_swept_run(context, points, kinds)
    else:
        variants, shown = parse_variants(varied), ShownRun(kinds)
    started_at = datetime.now().astimezone()
    out_dir = out_dir or settings.bench.out_dir / started_at.strftime("%Y-%m-%d-%H%M%S")
    if scenario is None:
        folder = settings.bench.callers_dir or recorded_callers_dir()
        callers = load_callers(folder, kind, limit, settings.bench.seed)
        traffic = Traffic()
    else:
        callers, traffic = scenario.callers(out_dir / "callers"), scenario.traffic
    _check_kinds(kinds, callers)
    _check_writable(out_dir)
    bench = BenchRun(
        context,
        variants,
        callers,
        started_at=started_at,
        shown=shown,
        traffic=traffic,
        record_dir=out_dir if record else None,
    )
    asyncio.run(bench.run(out_dir))


bench_command.add_command(scenarios_command)
bench_command.add_command(compare_command)
bench_command.add_command(definitions_command)
bench_command.add_command(export_command)
bench_command.add_command(scaling_command)


def _kinds(text: str | None) -> tuple[str, ...]:
    return tuple(kind.strip() for kind in (text or "").split(",") if kind.strip())


def _check_kinds(kinds: tuple[str, ...], callers: Sequence[Caller]) -> None:
    known = sorted({turn.kind for caller in callers for turn in caller.turns})
    for unknown in (kind for kind in kinds if kind not in known):
        raise CallersError(
            f"no caller of this run is of kind {unknown}", f"their kinds are {', '.join(known)}"
        )


def _check_writable(folder: Path) -> None:
    """Find out before the run, not after it.

    Raises:
        OutputError: nothing can be written there.
    """
    probe = folder / ".writable"
    try:
        write_text_atomically(probe, " " * _PROBE_BYTES)
    except OutputError as error:
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else error.problem
        raise OutputError(f"nothing can be written in {folder}: {why}", error.way_out) from error
    probe.unlink(missing_ok=True)
