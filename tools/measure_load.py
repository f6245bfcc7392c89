"""Latency against the number of sessions at once on this machine.

    python tools/measure_load.py [--callers DIR] [--limit 24] [--sessions 1,2,4]
        [--hang-up-after 0.4] [--set KEY=VALUE]

Every session has engines of its own, in one process and on one event loop, as a server would have.
Each level plays every caller once, dealt out to its sessions; the levels take turns, a handful of
callers at a time and in changing order, so that a change of the machine's load falls on all of
them alike. Sessions at once begin at the same instant, with clips of different lengths. Prints a
Markdown table: ``pauses`` are those cut into, of all; ``wait`` is how late the event loop was for
its own alarms (p95).
"""

from __future__ import annotations

import argparse
import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.conversation import RunnerRules
from voicebot.bench.meters import LoopStallMeter, ProcessMeter
from voicebot.bench.runner import BenchRunner, Measurements
from voicebot.bench.summary import summarise
from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.choice import choose_profile
from voicebot.config_sources import load_settings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.callers import Caller
    from voicebot.bench.record import TurnRecord
    from voicebot.config import Settings
    from voicebot.stages import Stages


@dataclass(slots=True)
class _Level:
    """What was measured with so many sessions at once."""

    sessions: int
    process: ProcessMeter
    turns: list[TurnRecord] = field(default_factory=list)
    cpu_s: float = 0.0
    loop: LoopStallMeter = field(init=False)

    def __post_init__(self) -> None:
        self.loop = LoopStallMeter(self.process)


def _runner(settings: Settings, stages: Stages, hang_up_after_s: float | None) -> BenchRunner:
    return BenchRunner(
        stages,
        session_rules=session_rules(settings),
        make_history=lambda: new_history(settings),
        rules=RunnerRules(
            block_ms=settings.audio.block_ms,
            output_latency_ms=settings.audio.output_latency_ms,
            warmup_turns=1,
            hang_up_after_s=hang_up_after_s,
        ),
        on_turn=lambda _: None,
    )


async def _play(level: _Level, runners: Sequence[BenchRunner], callers: Sequence[Caller]) -> None:
    measured = [Measurements() for _ in range(level.sessions)]

    async def one_session(index: int) -> None:
        for caller in callers[index :: level.sessions]:
            await runners[index].play(caller, measured[index])

    before_s = level.process.cpu_seconds()
    async with level.loop.running(), asyncio.TaskGroup() as sessions:
        for index in range(level.sessions):
            sessions.create_task(one_session(index))
    level.cpu_s += level.process.cpu_seconds() - before_s
    level.turns += [turn for each in measured for turn in each.turns]


async def _measure(
    settings: Settings, callers: Sequence[Caller], counts: Sequence[int], hang_up: float | None
) -> list[_Level]:
    process = ProcessMeter()
    levels = [_Level(count, process) for count in counts]
    chance = random.Random(settings.bench.seed)  # noqa: S311 - an order, not a secret
    most = max(counts)
    async with AsyncExitStack() as loaded:
        runners = []
        for _ in range(most):
            factories = engine_factories(
                choose_profile(settings), settings, ModelStore(settings.models.dir)
            )
            stages = await loaded.enter_async_context(
                running_stages(factories, stage_timeout_s=settings.reply.stage_timeout_s)
            )
            runners.append(_runner(settings, stages, hang_up))
        for index, runner in enumerate(runners):
            await runner.warm_up(callers[index:] or callers, Measurements())
        for start in range(0, len(callers), most):
            handful = callers[start : start + most]
            for level in chance.sample(levels, len(levels)):
                await _play(level, runners, handful)
    return levels


def _print_table(levels: Sequence[_Level]) -> None:
    print(
        "| sessions | turns | p50 ms | mean ms | p95 ms | pauses cut | misses | CPU s | wait ms |"
    )
    print("|---" * 9 + "|")
    for level in levels:
        summary = summarise(level.turns)
        latency = summary.voice_to_voice_ms
        p50, mean, p95 = (
            _with_interval(value, interval)
            for value, interval in (
                (latency.p50, latency.p50_ci95),
                (latency.mean, latency.mean_ci95),
                (latency.p95, latency.p95_ci95),
            )
        )
        print(
            f"| {level.sessions} | {summary.turns} | {p50} | {mean} | {p95} "
            f"| {summary.pauses_cut_into} of {summary.pauses} | {summary.missed} "
            f"| {level.cpu_s / max(1, summary.turns):.2f} | {level.loop.p95_ms or 0.0:.1f} |"
        )


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" + (f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else "")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Latency against the number of sessions at once.")
    parser.add_argument("--callers", type=Path, default=recorded_callers_dir())
    parser.add_argument("--kind", help="only callers of this kind")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--sessions", default="1,2,4", help="comma-separated")
    parser.add_argument("--hang-up-after", type=float, default=None, metavar="S")
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    arguments = parser.parse_args()
    settings = load_settings(assignments=arguments.assignments).settings
    callers = load_callers(arguments.callers, arguments.kind, arguments.limit, settings.bench.seed)
    counts = sorted({int(count) for count in arguments.sessions.split(",")})
    _print_table(asyncio.run(_measure(settings, callers, counts, arguments.hang_up_after)))


if __name__ == "__main__":
    _main()
