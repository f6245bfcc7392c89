"""``voicebot bench --sweep``: what is played and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.sweep import parse_points, plan_sweep, swept, write_sweep
from voicebot.bench.sweep_table import sweep_table
from voicebot.cli.bench_run import ShownRun
from voicebot.conversation_rules import rule_in_force

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voicebot.bench.comparison import Comparison
    from voicebot.bench.record import Run
    from voicebot.bench.variants import Variant
    from voicebot.cli.context import CliContext

__all__ = ["plan_swept_run"]


def plan_swept_run(
    context: CliContext, points: Sequence[str], latency_kinds: tuple[str, ...]
) -> tuple[list[Variant], ShownRun]:
    """The variants of a sweep, and how their run is shown.

    Args:
        context: its rule and eagerness are the default.
        points: what each ``--points`` gave.
        latency_kinds: the kinds of callers whose latencies are shown; empty means all.

    Raises:
        ConfigError: the points are of another form.
    """
    settings = context.settings
    default = (rule_in_force(settings), settings.turns.eagerness)
    planned = plan_sweep(parse_points(points), default)

    def write(comparison: Comparison, first: Run, folder: Path) -> Sequence[str]:
        from voicebot.bench.report.sweep_page import write_sweep_page  # noqa: PLC0415 (start-up)

        sweep = swept(planned, comparison)
        write_sweep(sweep, folder / "sweep.json")
        write_sweep_page(sweep, first, folder / "sweep.html")
        return ["sweep.json", "sweep.html"]

    def print_more(comparison: Comparison) -> None:
        context.console.print(sweep_table(swept(planned, comparison)))

    return [point.variant for point in planned], ShownRun(latency_kinds, write, print_more)
