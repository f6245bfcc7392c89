"""``voicebot bench``: callers speak, the clock runs, the report is written."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.files import write_text_atomically
from voicebot.bench.meta import run_meta, source_commit
from voicebot.bench.record import AudioPath, ModelUsed, Run, TurnRecord, write_run
from voicebot.bench.runner import BenchRunner, Measurements, RunnerRules
from voicebot.bench.summary import summarise
from voicebot.bench.table import summary_table
from voicebot.cli.context import takes_settings
from voicebot.cli.startup import listening, prepare_models
from voicebot.errors import OutputError
from voicebot.profiles import new_history, session_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicebot.bench.callers import Caller
    from voicebot.cli.context import CliContext
    from voicebot.models.store import ModelStore
    from voicebot.profiles import ChosenProfile

__all__ = ["bench_command"]

_PROBE_BYTES = 256 * 1024  # about what a short run takes


@click.command("bench")
@click.option(
    "--callers",
    "callers_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of callers; without it, the recorded callers that come with voicebot.",
)
@click.option("--kind", metavar="KIND", help="Only callers of this kind.")
@click.option("--limit", type=int, metavar="N", help="At most N callers, sampled over the kinds.")
@click.option("--seed", type=int, metavar="N", help="Which sample, and of the faint room noise.")
@click.option(
    "--out",
    "out_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where run.json and report.html go; without it, a new folder in bench.out_dir.",
)
@takes_settings
def bench_command(
    context: CliContext,
    *,
    callers_dir: Path | None,
    kind: str | None,
    limit: int | None,
    seed: int | None,
    out_dir: Path | None,
) -> None:
    """Measure how fast it answers.

    Plays every caller in real time through the same session that chat uses, writes run.json and
    report.html, and prints a table. The exit code is 0 when the run is complete, whatever its
    figures are.
    """
    context = context.with_flag("bench.callers_dir", "--callers", callers_dir).with_flag(
        "bench.seed", "--seed", seed
    )
    settings = context.settings
    folder = settings.bench.callers_dir or recorded_callers_dir()
    callers = load_callers(folder, kind, limit, settings.bench.seed)
    started_at = datetime.now().astimezone()
    out_dir = out_dir or settings.bench.out_dir / started_at.strftime("%Y-%m-%d-%H%M%S")
    _check_writable(out_dir)
    chosen, store = prepare_models(context)
    bench = _Bench(context, chosen, store, callers, started_at)
    asyncio.run(bench.run(out_dir))


class _Bench:
    """One run from loaded callers to written files."""

    def __init__(
        self,
        context: CliContext,
        chosen: ChosenProfile,
        store: ModelStore,
        callers: Sequence[Caller],
        started_at: datetime,
    ) -> None:
        self._context = context
        self._chosen = chosen
        self._store = store
        self._callers = callers
        self._started_at = started_at
        self._startup_s: float | None = None
        self._commit = source_commit()  # of the code that is loaded, not of what stands there later
        self._total = sum(len(caller.turns) for caller in callers)
        self.measured = Measurements()

    @property
    def has_begun(self) -> bool:
        """Whether callers have been played, or were about to be."""
        return self._startup_s is not None

    async def run(self, out_dir: Path) -> None:
        """Load the models, play all callers, write what was measured.

        The first of Ctrl-C, a closed terminal and a request to end stops the run; later ones
        cannot keep what has been measured from being written.

        Raises:
            KeyboardInterrupt: the run was stopped; what was measured is written and says so.
            OutputError: ``out_dir`` did not take all of it; the line says where all of it is.
        """
        playing = asyncio.create_task(self._play_callers())

        def stop() -> None:
            if not playing.cancelling():  # once: what is under way shall be recorded in peace
                playing.cancel()

        with _stopped_by_signals(stop):
            try:
                await playing
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            finally:
                if self.has_begun:
                    self.write(out_dir)

    async def _play_callers(self) -> None:
        settings = self._context.settings
        async with listening(self._context, self._store) as loaded:
            self._startup_s = loaded.startup_s
            self._context.error_console.print(
                f"Callers: {len(self._callers)}, turns: {self._total}. They speak in real time; "
                "Ctrl-C ends the run and keeps what was measured."
            )
            runner = BenchRunner(
                loaded.stages,
                session_rules=session_rules(settings),
                make_history=lambda: new_history(settings),
                rules=RunnerRules(
                    block_ms=settings.audio.block_ms,
                    output_latency_ms=settings.audio.output_latency_ms,
                    turn_gap_s=settings.bench.turn_gap_s,
                    warmup_turns=settings.bench.warmup_turns,
                    seed=settings.bench.seed,
                    hang_up_after_s=settings.bench.hang_up_after_s,
                ),
                on_turn=self._print_turn,
            )
            await runner.run(self._callers, self.measured)

    def write(self, out_dir: Path) -> None:
        """Print the table; write run.json and report.html, elsewhere if ``out_dir`` fails.

        Raises:
            OutputError: ``out_dir`` did not take all of it; the line says where all of it is.
        """
        run = self._as_run()
        rescue_dir: Path | None = None
        problem: OutputError | None = None
        try:
            _write_into(run, out_dir)
        except OutputError as error:
            problem = error
            rescue_dir = Path(tempfile.mkdtemp(prefix="voicebot-run-"))
            _write_into(run, rescue_dir)
        # Files first: the terminal may be gone.
        self._context.console.print(summary_table(run))
        if problem is not None:
            raise OutputError(problem.problem, f"the run was written to {rescue_dir}") from problem
        for name, path in (("Record", out_dir / "run.json"), ("Report", out_dir / "report.html")):
            self._context.console.print(f"{name}: {path}", soft_wrap=True)

    def _as_run(self) -> Run:
        settings = self._context.settings
        measured = self.measured
        return Run(
            meta=run_meta(
                profile=self._chosen.name,
                config=settings.model_dump(mode="json"),
                models=self._models_used(),
                audio=AudioPath(
                    "virtual microphone",
                    "virtual loudspeaker",
                    settings.audio.block_ms,
                    settings.audio.output_latency_ms,
                ),
                started_at=self._started_at,
                startup_s=self._startup_s,
                commit=self._commit,
                loop_stall_p95_ms=measured.loop_stall_p95_ms,
            ),
            warmup=len(measured.warmup_turns),
            turns=tuple(measured.turns),
            summary=summarise(
                measured.turns,
                cpu_seconds_per_turn=measured.cpu_seconds_per_turn,
                peak_rss_mib=measured.process.peak_rss_mib,
            ),
            partial=not measured.is_complete,
            warmup_turns=tuple(measured.warmup_turns),
        )

    def _models_used(self) -> list[ModelUsed]:
        facts = (self._store.facts(name) for name in self._chosen.models)
        return [
            ModelUsed(item.role, item.name, item.source, item.sha256, item.licence)
            for item in facts
        ]

    def _print_turn(self, turn: TurnRecord) -> None:
        label = "warm-up" if turn.warmup else f"{len(self.measured.turns)}/{self._total}"
        if turn.voice_to_voice_ms is None:
            figure = "no answer"
        else:
            figure = f"{turn.voice_to_voice_ms:.0f} ms"
        notes = [
            note for note, is_so in (("cut-in", turn.cut_in), ("missed", turn.missed)) if is_so
        ]
        if turn.failure:
            notes.append(turn.failure)
        line = (
            f"{label:>8}  {figure:>9}  {turn.caller}: {turn.transcript or '(nothing understood)'}"
        )
        with suppress(OSError):  # the terminal is gone: progress is for whoever still watches
            self._context.error_console.print(
                line + (f"  [{', '.join(notes)}]" if notes else ""), markup=False, soft_wrap=True
            )


def _write_into(run: Run, folder: Path) -> None:
    from voicebot.bench.report import write_report  # noqa: PLC0415 (listening starts without it)

    write_run(run, folder / "run.json")
    write_report(run, folder / "report.html")


@contextmanager
def _stopped_by_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` at the first signal to end; the loop takes all others and does nothing."""
    loop = asyncio.get_running_loop()
    handled = []
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with suppress(NotImplementedError):  # Windows: Ctrl-C cancels in asyncio's own way
                loop.add_signal_handler(getattr(signal, name), stop)
                handled.append(getattr(signal, name))
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


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
