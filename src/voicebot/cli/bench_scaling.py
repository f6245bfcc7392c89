"""``voicebot bench scaling``: how large a language model this machine can carry."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.errors import ConfigError, ModelDamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.scaling.answers import ScalingRun, ThreadResult
    from voicebot.bench.scaling.measure import LadderTimes
    from voicebot.cli.context import CliContext

__all__ = ["scaling_command"]

_PATH = click.Path(path_type=Path)


@click.command("scaling")
@click.option(
    "--model",
    "folders",
    multiple=True,
    type=_PATH,
    metavar="DIR",
    help="A real model's folder, with its graph, beside the ladder; may be repeated.",
)
@click.option(
    "--largest",
    type=float,
    default=0.4,
    show_default=True,
    metavar="BILLION",
    help="The largest model of the ladder, in billions of parameters (up to 1).",
)
@click.option("--threads", default="1,2", show_default=True, metavar="N[,...]")
@click.option("--contexts", default="128,512,1024", show_default=True, metavar="TOKENS[,...]")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option(
    "--target-ms",
    type=click.FloatRange(1, 60_000),
    default=100.0,
    show_default=True,
    help="In which the first clause shall be written.",
)
@click.option("--ladder-dir", type=_PATH, metavar="DIR", help="Where the ladder's models are kept.")
@click.option("--out", "out_dir", type=_PATH, metavar="DIR", default=Path("runs/scaling"))
@click.pass_obj
def scaling_command(
    context: CliContext,
    *,
    folders: tuple[Path, ...],
    largest: float,
    threads: str,
    contexts: str,
    rounds: int,
    target_ms: float,
    ladder_dir: Path | None,
    out_dir: Path,
) -> None:
    """Time a ladder of language models, fit a power law, and answer how large one may be.

    The ladder's models have random weights in the shape of real ones: their times are honest,
    their words mean nothing. Writes scaling.json and scaling.html.
    """
    import platformdirs  # noqa: PLC0415 (start-up time)

    from voicebot.bench.files import write_text_atomically  # noqa: PLC0415
    from voicebot.bench.report.scaling_page import (  # noqa: PLC0415
        verdict_of,
        write_scaling_page,
    )
    from voicebot.bench.scaling.shape_true import LADDER, write_rung  # noqa: PLC0415

    counts = _numbers(threads, "--threads")
    lengths = sorted(_numbers(contexts, "--contexts"))
    ladder_dir = ladder_dir or platformdirs.user_cache_path("voicebot", appauthor=False) / "ladder"
    models: dict[float, tuple[Path, str]] = {}
    for rung in LADDER:
        if rung.parameters <= largest * 1e9:
            context.error_console.print(f"Making the shape of a model of {rung.name} …")
            models[float(rung.parameters)] = (write_rung(rung, ladder_dir), "shape-true")
    for folder in folders:
        models[float(_parameters(folder))] = (folder, folder.name)
    run = _run(context, models, counts, lengths, rounds=rounds, target_ms=target_ms)
    write_text_atomically(out_dir / "scaling.json", json.dumps(run.as_json(), indent=1) + "\n")
    write_scaling_page(run, out_dir / "scaling.html")
    _print(context, run)
    context.console.print(verdict_of(run), style="bold", soft_wrap=True)
    context.console.print(f"Record: {out_dir / 'scaling.json'}", soft_wrap=True)
    context.console.print(f"Report: {out_dir / 'scaling.html'}", soft_wrap=True)


def _run(
    context: CliContext,
    models: dict[float, tuple[Path, str]],
    counts: Sequence[int],
    lengths: Sequence[int],
    *,
    rounds: int,
    target_ms: float,
) -> ScalingRun:
    from voicebot.bench.meta import describe_host  # noqa: PLC0415 (start-up time)
    from voicebot.bench.scaling.answers import ScalingRun  # noqa: PLC0415
    from voicebot.bench.scaling.measure import LadderTimes, measure_network  # noqa: PLC0415
    from voicebot.engines.onnx_network import OnnxNetwork  # noqa: PLC0415
    from voicebot.tuning import usable_cores  # noqa: PLC0415

    started_at = datetime.now().astimezone().isoformat(timespec="seconds")
    times: dict[tuple[int, float], LadderTimes] = {
        key: LadderTimes() for key in itertools.product(counts, models)
    }
    # By turns, so that a change of the machine's load falls on all of them alike.
    for round_ in range(rounds + 1):
        if round_:
            context.error_console.print(f"Round {round_} of {rounds}")
        for (count, size), taken in times.items():
            network = OnnxNetwork.load(models[size][0], threads=count)
            # The first pass is the slowest, and is not counted.
            measure_network(network, LadderTimes(), contexts=lengths[:1])
            if round_:
                measure_network(network, taken, contexts=lengths, seed=round_)
            del network
    return ScalingRun(
        cpu=describe_host().cpu,
        cores=usable_cores(),
        started_at=started_at,
        weights={size: weights for size, (_, weights) in models.items()},
        results=tuple(_result(count, times, lengths, target_ms) for count in counts),
    )


def _result(
    count: int,
    times: dict[tuple[int, float], LadderTimes],
    lengths: Sequence[int],
    target_ms: float,
) -> ThreadResult:
    from voicebot.bench.scaling.answers import ThreadResult, largest_models  # noqa: PLC0415
    from voicebot.bench.scaling.power_law import (  # noqa: PLC0415 (start-up time)
        FEWEST_SIZES,
        fit_power_law,
        held_out_errors,
    )

    of_count = {size: taken for (each, size), taken in times.items() if each == count}
    first_clause = {size: taken.first_clause for size, taken in of_count.items()}
    write = {
        length: {size: taken.write[length] for size, taken in of_count.items()}
        for length in lengths
    }
    law = fit_power_law(first_clause)
    size = max(of_count)
    by_context = {float(length): of_count[size].write[length] for length in lengths}
    return ThreadResult(
        threads=count,
        first_clause_ms=first_clause,
        write_ms=write,
        law=law,
        context_law=fit_power_law(by_context) if len(by_context) >= FEWEST_SIZES else None,
        context_size=size,
        held_out=held_out_errors(first_clause),
        largest=largest_models(law, sorted(first_clause), target_ms),
    )


def _print(context: CliContext, run: ScalingRun) -> None:
    import statistics  # noqa: PLC0415 (start-up time)

    from rich.table import Table  # noqa: PLC0415

    from voicebot.bench.report.scaling_chart import in_parameters  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("size", "weights", "threads", "first clause ms", "law ms", "residual"):
        table.add_column(heading, justify="left" if heading == "weights" else "right")
    for result in run.results:
        for size in sorted(result.first_clause_ms):
            table.add_row(
                in_parameters(size),
                run.weights[size],
                str(result.threads),
                f"{statistics.median(result.first_clause_ms[size]):.1f}",
                f"{result.law.law(size):.1f}",
                f"{100 * result.law.residuals[size]:+.1f} %",
            )
    context.console.print(table)
    for result in run.results:
        for each in result.held_out:
            reach = " (beyond the others)" if each.is_outside else ""
            context.console.print(
                f"Left out, {result.threads} threads: {in_parameters(each.x)} predicted "
                f"{each.predicted:.1f} ms, measured {each.measured:.1f}, "
                f"{100 * each.error:+.1f} %{reach}",
                soft_wrap=True,
            )


def _numbers(text: str, flag: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise ConfigError(f"{flag} {text} is no list of whole numbers", f"write {flag} 1,2")
    return found


def _parameters(folder: Path) -> int:
    """How many parameters a real model's safetensors hold.

    Raises:
        ModelDamagedError: there are none that can be read.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 (start-up time)

    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118 - not a mapping
                    size = 1
                    for extent in weights.get_slice(name).get_shape():
                        size *= extent
                    total += size
        except (OSError, SafetensorError) as error:
            raise ModelDamagedError(f"{file} cannot be read: {error}", "fetch it again") from error
    if not total:
        raise ModelDamagedError(
            f"there is no language model in {folder}", "`voicebot models path NAME` gives a folder"
        )
    return total
