"""``voicebot bench scaling``: how large a language model this machine can carry."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.errors import ConfigError, ModelDamagedError, ModelMissingError, VoicebotError

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
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.4,
    show_default=True,
    metavar="BILLION",
    help="The largest model of the ladder, in billions of parameters (up to 1).",
)
@click.option("--threads", default="1,2", show_default=True, metavar="N[,...]")
@click.option("--contexts", default="128,256,512,1024", show_default=True, metavar="TOKENS[,...]")
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
    their words mean nothing. Writes scaling.json, after every round, and scaling.html. Ctrl-C keeps
    the rounds that were measured.
    """
    import platformdirs  # noqa: PLC0415 (start-up time)

    from voicebot.bench.files import check_writable  # noqa: PLC0415
    from voicebot.bench.scaling.power_law import require_scipy  # noqa: PLC0415
    from voicebot.bench.scaling.shape_true import (  # noqa: PLC0415
        LADDER,
        LADDER_CONTEXT_TOKENS,
        write_rung,
    )

    require_scipy()
    counts = _numbers(threads, "--threads")
    lengths = sorted(set(_numbers(contexts, "--contexts")))
    rungs = [rung for rung in LADDER if rung.parameters <= largest * 1e9]
    _check_ladder(context, len(rungs), largest)
    _check_contexts(lengths, LADDER_CONTEXT_TOKENS, "the ladder")
    real = _real_models(folders, lengths)
    check_writable(out_dir)
    ladder_dir = ladder_dir or platformdirs.user_cache_path("voicebot", appauthor=False) / "ladder"
    models = []
    for rung in rungs:
        context.error_console.print(f"Making the shape of a model of {rung.name} …")
        folder = write_rung(rung, ladder_dir)
        models.append(_Model(f"shape-true {rung.name}", folder, float(rung.parameters)))
    measuring = _Measuring(
        context, [*models, *real], counts, lengths, rounds=rounds, target_ms=target_ms
    )
    try:
        measuring.run(out_dir)
    except KeyboardInterrupt:
        if measuring.rounds:
            _write_and_tell(context, measuring.as_run(), out_dir)
        raise
    _write_and_tell(context, measuring.as_run(), out_dir)


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    folder: Path
    parameters: float
    is_rung: bool = True


class _Measuring:
    """Measures round by round, and gives what there is of it at any moment."""

    def __init__(
        self,
        context: CliContext,
        models: Sequence[_Model],
        counts: Sequence[int],
        lengths: Sequence[int],
        *,
        rounds: int,
        target_ms: float,
    ) -> None:
        from voicebot.bench.machine_watch import MachineWatch  # noqa: PLC0415 (start-up time)
        from voicebot.bench.meters import ProcessMeter  # noqa: PLC0415
        from voicebot.bench.scaling.measure import LadderTimes  # noqa: PLC0415

        self._context = context
        self._models = models
        self._counts = counts
        self._lengths = lengths
        self._wanted_rounds = rounds
        self._target_ms = target_ms
        self._started_at = datetime.now().astimezone().isoformat(timespec="seconds")
        self._watch = MachineWatch(ProcessMeter().cpu_seconds)
        self._times = {
            (count, model.name): LadderTimes() for count, model in itertools.product(counts, models)
        }
        self.rounds = 0
        """How many were measured whole."""

    def run(self, out_dir: Path) -> None:
        """Measure all rounds; after each, what was measured is written.

        By turns, so that a change of the machine's load falls on all of them alike. A round that
        is broken off leaves nothing behind.
        """
        from voicebot.bench.machine_watch import MachineWatch  # noqa: PLC0415 (start-up time)
        from voicebot.bench.meters import ProcessMeter  # noqa: PLC0415

        self._round(0)  # the first one is the slowest, and is not counted
        self._watch = MachineWatch(ProcessMeter().cpu_seconds)
        for number in range(1, self._wanted_rounds + 1):
            self._context.error_console.print(f"Round {number} of {self._wanted_rounds}")
            for key, taken in self._round(number).items():
                self._times[key].first_clause += taken.first_clause
                for length, values in taken.write.items():
                    self._times[key].write.setdefault(length, []).extend(values)
            self.rounds = number
            _write_record(self.as_run(is_fitted=False), out_dir)

    def _round(self, number: int) -> dict[tuple[int, str], LadderTimes]:
        from voicebot.bench.scaling.measure import LadderTimes, measure_network  # noqa: PLC0415
        from voicebot.engines.onnx_network import OnnxNetwork  # noqa: PLC0415 (start-up time)

        taken = {}
        for count, model in itertools.product(self._counts, self._models):
            network = OnnxNetwork.load(model.folder, threads=count)
            # The first pass is the slowest, and is not counted.
            measure_network(network, LadderTimes(), contexts=self._lengths[:1])
            times = taken[count, model.name] = LadderTimes()
            if number:
                measure_network(network, times, contexts=self._lengths, seed=number)
            del network
        return taken

    def as_run(self, *, is_fitted: bool = True) -> ScalingRun:
        """What was measured, with its laws or without."""
        from voicebot.bench.meta import describe_host  # noqa: PLC0415 (start-up time)
        from voicebot.bench.scaling.answers import ScalingRun  # noqa: PLC0415
        from voicebot.tuning import usable_cores  # noqa: PLC0415

        return ScalingRun(
            cpu=describe_host().cpu,
            cores=usable_cores(),
            started_at=self._started_at,
            target_ms=self._target_ms,
            rounds=self.rounds,
            partial=self.rounds < self._wanted_rounds,
            results=tuple(self._result(count, is_fitted=is_fitted) for count in self._counts),
            machine=self._watch.state(),
        )

    def _result(self, count: int, *, is_fitted: bool) -> ThreadResult:
        from voicebot.bench.scaling.answers import (  # noqa: PLC0415 (start-up time)
            RealModel,
            ThreadResult,
            largest_models,
        )
        from voicebot.bench.scaling.power_law import (  # noqa: PLC0415
            FEWEST_SIZES,
            fit_power_law,
            held_out_errors,
        )

        times = {model: self._times[count, model.name] for model in self._models}
        ladder = {model.parameters: taken for model, taken in times.items() if model.is_rung}
        first_clause = {size: taken.first_clause for size, taken in ladder.items()}
        law = context_law = None
        no_law = "" if is_fitted else "it has not been fitted yet"
        size = max(ladder)
        by_context = {float(length): ladder[size].write[length] for length in self._lengths}
        if is_fitted:
            try:
                law = fit_power_law(first_clause)
            except VoicebotError as error:
                no_law = error.problem
            if len(by_context) >= FEWEST_SIZES:
                # A time that does not rise with the context has no law, and needs none.
                with suppress(VoicebotError):
                    context_law = fit_power_law(by_context)
        return ThreadResult(
            threads=count,
            first_clause_ms=first_clause,
            write_ms={
                length: {size: taken.write[length] for size, taken in ladder.items()}
                for length in self._lengths
            },
            law=law,
            no_law=no_law,
            context_law=context_law,
            context_size=size,
            held_out=held_out_errors(first_clause) if law is not None else (),
            largest=() if law is None else largest_models(law, list(ladder), self._target_ms),
            real={
                model.name: RealModel(model.parameters, taken.first_clause, taken.write)
                for model, taken in times.items()
                if not model.is_rung
            },
        )


def _write_record(run: ScalingRun, out_dir: Path) -> None:
    from voicebot.bench.files import write_text_atomically  # noqa: PLC0415 (start-up time)

    write_text_atomically(out_dir / "scaling.json", json.dumps(run.as_json(), indent=1) + "\n")


def _write_and_tell(context: CliContext, run: ScalingRun, out_dir: Path) -> None:
    from voicebot.bench.report.scaling_page import (  # noqa: PLC0415 (start-up time)
        verdict_of,
        write_scaling_page,
    )

    _write_record(run, out_dir)
    write_scaling_page(run, out_dir / "scaling.html")
    _print(context, run)
    for caveat in run.caveats:
        context.console.print(f"! {caveat}", style="yellow", markup=False, soft_wrap=True)
    context.console.print(verdict_of(run), style="bold", soft_wrap=True)
    context.console.print(f"Record: {out_dir / 'scaling.json'}", soft_wrap=True)
    context.console.print(f"Report: {out_dir / 'scaling.html'}", soft_wrap=True)


def _check_ladder(context: CliContext, count: int, largest: float) -> None:
    """Find out before the ladder is made whether a law can be fitted to it.

    Raises:
        ConfigError: it has too few sizes.
    """
    from voicebot.bench.scaling.power_law import FEWEST_SIZES  # noqa: PLC0415 (start-up time)

    if count < FEWEST_SIZES:
        raise ConfigError(
            f"the ladder has {count} sizes up to {largest:g} billion parameters, and a law with "
            f"three parameters asks for {FEWEST_SIZES}",
            "give a higher --largest",
        )
    if count == FEWEST_SIZES:
        context.error_console.print(
            f"With {count} sizes none can be left out to be predicted: that asks for {count + 1}, "
            "with a higher --largest.",
            soft_wrap=True,
        )


def _check_contexts(lengths: Sequence[int], room: int, whose: str) -> None:
    from voicebot.bench.scaling.measure import MOST_TOKENS_BEYOND  # noqa: PLC0415 (start-up time)

    if lengths[-1] + MOST_TOKENS_BEYOND > room:
        raise ConfigError(
            f"--contexts {lengths[-1]} is more than {whose} holds, {room} tokens less the "
            f"{MOST_TOKENS_BEYOND} that are timed",
            "give shorter ones",
        )


def _real_models(folders: Sequence[Path], lengths: Sequence[int]) -> list[_Model]:
    """The real models, each by the name of its folder; a name that comes twice gets a number.

    Raises:
        ModelDamagedError: one cannot be read.
        ModelMissingError: one has no graph.
        ConfigError: a context is longer than one holds.
    """
    from voicebot.engines.onnx_network import OnnxNetwork  # noqa: PLC0415 (start-up time)
    from voicebot.models.llama_shape import GRAPH_NAME, LlamaShape  # noqa: PLC0415
    from voicebot.models.model_json import read_json  # noqa: PLC0415

    seen: Counter[str] = Counter()
    found = []
    for folder in folders:
        parameters = float(_parameters(folder))
        if not OnnxNetwork.is_in(folder):
            raise ModelMissingError(
                f"there is no {GRAPH_NAME} in {folder}", "run `voicebot models pull`"
            )
        shape = LlamaShape.from_config(read_json(folder / "config.json"))
        if shape is not None:
            _check_contexts(lengths, shape.context_tokens, folder.name)
        name = folder.resolve().name
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        found.append(_Model(label, folder, parameters, is_rung=False))
    return found


def _print(context: CliContext, run: ScalingRun) -> None:
    import statistics  # noqa: PLC0415 (start-up time)

    from rich.table import Table  # noqa: PLC0415

    from voicebot.bench.report.scaling_chart import in_parameters  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("size", "weights", "threads", "first clause ms", "law ms", "residual"):
        table.add_column(heading, justify="left" if heading == "weights" else "right")
    for result in run.results:
        ladder = [("shape-true", size, each) for size, each in result.first_clause_ms.items()]
        real = [(name, each.parameters, each.first_clause_ms) for name, each in result.real.items()]
        for name, size, values in (*sorted(ladder, key=lambda row: row[1]), *real):
            measured = statistics.median(values)
            predicted = result.law.law(size) if result.law is not None else None
            table.add_row(
                in_parameters(size),
                name,
                str(result.threads),
                f"{measured:.1f}",
                "-" if predicted is None else f"{predicted:.1f}",
                "-" if predicted is None else f"{100 * (measured / predicted - 1):+.1f} %",
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
    if not found or min(found) < 1 or len(set(found)) < len(found):
        raise ConfigError(
            f"{flag} {text} is no list of different whole numbers", f"write {flag} 1,2"
        )
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
