"""One run of ``voicebot bench``, from loaded callers to written files.

A run plays one variant, the configuration as it is, or several by turns. Each is recorded as a
run of its own; what they come to side by side is written beside them.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.bench.alternation import Player, play_alternately
from voicebot.bench.at_once import Traffic, arrival_instants_s, play_at_once
from voicebot.bench.comparison import compare, write_comparison
from voicebot.bench.comparison_table import comparison_table
from voicebot.bench.conversation import RunnerRules
from voicebot.bench.machine_watch import MachineWatch
from voicebot.bench.meta import run_meta, source_commit
from voicebot.bench.meters import ProcessMeter
from voicebot.bench.models_used import models_used
from voicebot.bench.record import AudioPath, PlayedScenario, Run, TurnRecord, write_run
from voicebot.bench.runner import BenchRunner, Measurements
from voicebot.bench.summary import caveats, summarise
from voicebot.bench.table import summary_table
from voicebot.bench.turn_audio import TurnAudio
from voicebot.bench.variants import engine_settings
from voicebot.cli.startup import listening, prepare_models
from voicebot.cli.stop_signals import stopped_by_signals
from voicebot.conversation_rules import new_history, session_rules
from voicebot.errors import OutputError
from voicebot.telemetry.observers import telemetry
from voicebot.text.normalise import normalise_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from voicebot.bench.callers import Caller
    from voicebot.bench.comparison import Comparison
    from voicebot.bench.variants import Variant
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import Listening, PreparedModels
    from voicebot.telemetry.observers import Telemetry

__all__ = ["BenchRun", "ShownRun"]


_ONE_BY_ONE = Traffic()


@dataclass(frozen=True, slots=True)
class ShownRun:
    """How a run of several variants is shown beyond its records.

    Attributes:
        latency_kinds: the kinds of callers of which latencies are compared; empty means all.
        write: writes more files into the run's folder, given the first variant's run too, and
            gives their names.
        print_more: prints what they say.
    """

    latency_kinds: tuple[str, ...] = ()
    write: Callable[[Comparison, Run, Path], Sequence[str]] = lambda *_: ()
    print_more: Callable[[Comparison], None] = lambda _: None


@dataclass(slots=True)
class _Member:
    """A variant, its settings, and what it has measured."""

    variant: Variant
    context: CliContext
    engines: str
    measured: Measurements = field(default_factory=Measurements)


class BenchRun:
    """Plays callers to every variant and writes what was measured.

    Args:
        context: the configuration that the variants change.
        variants: at least one; the first is what the others are held against.
        callers: who calls.
        started_at: for the record.
        shown: see ``ShownRun``.
        traffic: how callers come; several at once go with one variant only.
        record_dir: the run's folder, if the sound of turns is to be stored there.
        scenario: for the record; None for a folder of callers.

    Raises:
        ConfigError: a variant's setting is unknown, mistyped or out of range.
        ModelError: a model is not here and cannot be had.
    """

    def __init__(
        self,
        context: CliContext,
        variants: Sequence[Variant],
        callers: Sequence[Caller],
        *,
        started_at: datetime,
        shown: ShownRun,
        traffic: Traffic = _ONE_BY_ONE,
        record_dir: Path | None = None,
        scenario: PlayedScenario | None = None,
    ) -> None:
        self._context = context
        self._callers = callers
        self._started_at = started_at
        self._shown = shown
        self._traffic = traffic
        self._record_dir = record_dir
        self._scenario = scenario
        self._startup_s: float | None = None
        self._machine: MachineWatch | None = None
        self._commit = source_commit()  # of the code that is loaded, not of what stands there later
        self._members: list[_Member] = []
        for variant in variants:
            changed = context.with_assignments(variant.assignments)
            self._members.append(_Member(variant, changed, engine_settings(changed.settings)))
        self._engines: dict[str, PreparedModels] = {}
        self._runs_as: dict[str, Mapping[str, str]] = {}
        for member in self._members:
            if member.engines not in self._engines:
                self._engines[member.engines] = prepare_models(member.context)
        self._turns = sum(len(caller.turns) for caller in callers)
        self._total = self._turns * len(self._members)
        self._counted = 0

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

        with stopped_by_signals(stop, names=("SIGINT", "SIGTERM", "SIGHUP")):
            try:
                await playing
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            finally:
                if self.has_begun:
                    self.write(out_dir)

    async def _play_callers(self) -> None:
        async with AsyncExitStack() as loaded_engines:
            loaded: dict[str, Listening] = {}
            for member in self._members:
                if member.engines not in loaded:
                    loaded[member.engines] = await loaded_engines.enter_async_context(
                        listening(member.context, self._engines[member.engines])
                    )
            self._runs_as = {engines: one.stages.runs_as for engines, one in loaded.items()}
            lines = [loaded[self._members[0].engines]]
            for _ in range(1, self._traffic.at_once):
                first = self._members[0]
                more = listening(first.context, self._engines[first.engines])
                lines.append(await loaded_engines.enter_async_context(more))
            self._startup_s = max(each.startup_s for each in (*loaded.values(), *lines))
            each_ = f", each played to {len(self._members)} variants" if self._has_several else ""
            self._context.error_console.print(
                f"Callers: {len(self._callers)}, turns: {self._turns}{each_}. They speak in real "
                "time; Ctrl-C ends the run and keeps what was measured."
            )
            watch = loaded_engines.enter_context(self._telemetry())
            if not self._traffic.is_one_after_the_other:
                await self._play_at_once([self._player(self._members[0], e, watch) for e in lines])
                return
            players = [self._player(each, loaded[each.engines], watch) for each in self._members]
            await self._warm_up(players)
            self._machine = MachineWatch(ProcessMeter().cpu_seconds)
            seed = self._context.settings.bench.seed
            await play_alternately(self._callers, players, seed=seed)

    async def _play_at_once(self, lines: Sequence[Player]) -> None:
        for line in lines:
            line.measured.warmup_turns.clear()  # each line has models of its own to warm
            await line.runner.warm_up(self._callers, line.measured)
        process = ProcessMeter()
        self._machine = MachineWatch(process.cpu_seconds)
        seed = self._context.settings.bench.seed
        arrivals_s = arrival_instants_s(len(self._callers), self._traffic.arrivals_per_minute, seed)
        before_s = process.cpu_seconds()
        try:
            await play_at_once(self._callers, lines, arrivals_s=arrivals_s)
        finally:
            self._members[0].measured.cpu_seconds = process.cpu_seconds() - before_s

    async def _warm_up(self, players: Sequence[Player]) -> None:
        """Once for all variants that share engines."""
        warm: dict[str, Measurements] = {}
        for member, player in zip(self._members, players, strict=True):
            if member.engines in warm:
                player.measured.warmup_turns = list(warm[member.engines].warmup_turns)
            else:
                await player.runner.warm_up(self._callers, player.measured)
                warm[member.engines] = player.measured

    def _telemetry(self) -> AbstractContextManager[Telemetry]:
        first = self._members[0]
        models = self._engines[first.engines].profile.model_names
        return telemetry(first.context.settings.telemetry, models)

    def _player(self, member: _Member, loaded: Listening, watching: Telemetry) -> Player:
        settings = member.context.settings
        run = self._started_at.isoformat(timespec="seconds")  # as meta.started_at has it
        if self._has_several:
            run += f" {member.variant.name}"
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
            on_turn=lambda turn: self._print_turn(member, turn),
            watch=lambda caller: watching.of_caller(run, caller.name),
            audio=self._audio_of(member),
            is_alone=self._traffic.at_once == 1,
        )
        return Player(runner, member.measured)

    def _audio_of(self, member: _Member) -> TurnAudio | None:
        if self._record_dir is None:
            return None
        place = self._record_dir / member.variant.name if self._has_several else self._record_dir
        return TurnAudio(place)

    @property
    def _has_several(self) -> bool:
        return len(self._members) > 1

    def write(self, out_dir: Path) -> None:
        """Print the figures; write all files, elsewhere if ``out_dir`` fails.

        Raises:
            OutputError: ``out_dir`` did not take all of it; the line says where all of it is.
        """
        runs = [(member.variant.name, self._as_run(member)) for member in self._members]
        comparison = self._compared() if self._has_several else None
        rescue_dir: Path | None = None
        problem: OutputError | None = None
        try:
            written = self._write_into(runs, comparison, out_dir)
        except OutputError as error:
            problem = error
            rescue_dir = Path(tempfile.mkdtemp(prefix="voicebot-run-"))
            written = self._write_into(runs, comparison, rescue_dir)
        # Files first: the terminal may be gone.
        console = self._context.console
        if comparison is None:
            console.print(summary_table(runs[0][1]))
        else:
            console.print(comparison_table(comparison))
            for caveat in caveats(runs[0][1]):
                console.print(f"! {comparison.variants[0].name}: {caveat}", style="yellow")
            self._shown.print_more(comparison)
        if problem is not None:
            raise OutputError(problem.problem, f"the run was written to {rescue_dir}") from problem
        for name in written:
            label = "Report" if name.endswith(".html") else "Record"
            console.print(f"{label}: {out_dir / name}", soft_wrap=True)

    def _write_into(
        self, runs: Sequence[tuple[str, Run]], comparison: Comparison | None, folder: Path
    ) -> list[str]:
        """Write everything below ``folder``; gives the names of what a reader wants to open."""
        from voicebot.bench.report import write_report  # noqa: PLC0415 (listening starts without)

        for name, run in runs:
            place = folder / name if self._has_several else folder
            write_run(run, place / "run.json")
            write_report(run, place / "report.html")
        if comparison is None:
            return ["run.json", "report.html"]
        write_comparison(comparison, folder / "comparison.json")
        return ["comparison.json", *self._shown.write(comparison, runs[0][1], folder)]

    def _compared(self) -> Comparison:
        return compare(
            {member.variant.name: member.measured.turns for member in self._members},
            {member.variant.name: member.variant.assignments for member in self._members},
            latency_kinds=self._shown.latency_kinds,
            normalise=partial(normalise_words, language=self._context.settings.language),
        )

    def _as_run(self, member: _Member) -> Run:
        settings = member.context.settings
        measured = member.measured
        chosen = self._engines[member.engines].profile
        is_alone = len(self._engines) == 1  # else start-up and memory are of all engines together
        return Run(
            meta=run_meta(
                profile=chosen.name,
                config=settings.model_dump(mode="json"),
                models=models_used(
                    chosen,
                    settings,
                    self._engines[member.engines].store,
                    self._runs_as.get(member.engines, {}),
                ),
                audio=AudioPath(
                    "virtual microphone",
                    "virtual loudspeaker",
                    settings.audio.block_ms,
                    settings.audio.output_latency_ms,
                ),
                started_at=self._started_at,
                startup_s=self._startup_s if is_alone else None,
                commit=self._commit,
                loop_stall_p95_ms=measured.loop_stall_p95_ms,
                machine=self._machine.state() if self._machine is not None else None,
                scenario=self._scenario,
            ),
            warmup=len(measured.warmup_turns),
            turns=tuple(measured.turns),
            summary=summarise(
                measured.turns,
                normalise=partial(normalise_words, language=settings.language),
                cpu_seconds_per_turn=measured.cpu_seconds_per_turn,
                peak_rss_mib=measured.process.peak_rss_mib if is_alone else None,
            ),
            partial=not measured.is_complete,
            warmup_turns=tuple(measured.warmup_turns),
        )

    def _print_turn(self, member: _Member, turn: TurnRecord) -> None:
        self._counted += not turn.warmup
        label = "warm-up" if turn.warmup else f"{self._counted}/{self._total}"
        if turn.voice_to_voice_ms is None:
            figure = "no answer"
        else:
            figure = f"{turn.voice_to_voice_ms:.0f} ms"
        notes = [
            note for note, is_so in (("cut-in", turn.cut_in), ("missed", turn.missed)) if is_so
        ]
        if turn.failure:
            notes.append(turn.failure)
        if turn.fallbacks:
            notes.append(f"fallback: {', '.join(turn.fallbacks)}")
        who = f"{member.variant.name}  {turn.caller}" if self._has_several else turn.caller
        line = f"{label:>8}  {figure:>9}  {who}: {turn.transcript or '(nothing understood)'}"
        with suppress(OSError):  # the terminal is gone: progress is for whoever still watches
            self._context.error_console.print(
                line + (f"  [{', '.join(notes)}]" if notes else ""), markup=False, soft_wrap=True
            )
