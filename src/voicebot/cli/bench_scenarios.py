"""``voicebot bench --scenario`` and ``voicebot bench scenarios``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from voicebot.bench.at_once import Traffic
from voicebot.bench.record import PlayedScenario

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.bench.callers import Caller
    from voicebot.bench.scenarios.schema import Scenario
    from voicebot.cli.context import CliContext

__all__ = ["OpenScenario", "open_scenario", "scenarios_command"]


@dataclass(frozen=True, slots=True)
class OpenScenario:
    """A scenario and where it was read.

    Attributes:
        told: what its file says.
        file: the file.
    """

    told: Scenario
    file: Path

    @property
    def traffic(self) -> Traffic:
        """How its callers come."""
        return Traffic(self.told.at_once, self.told.arrivals_per_minute)

    @property
    def played(self) -> PlayedScenario:
        """What the record of a run says of it."""
        return PlayedScenario(
            self.file.stem, self.told.at_once, arrivals_per_minute=self.told.arrivals_per_minute
        )

    def settle(self, context: CliContext) -> CliContext:
        """The settings it brings; a flag or a configuration that names them outranks it."""
        flag = f"--scenario {self.file.stem}"
        given = {"bench.seed": self.told.seed, "bench.hang_up_after_s": self.told.hang_up_after_s}
        for key, value in given.items():
            if context.origins[key] == "default":
                context = context.with_flag(key, flag, value)
        return context

    def callers(self, folder: Path) -> list[Caller]:
        """Its callers; what has to be made is written into ``folder``."""
        from voicebot.bench.scenarios.render import render_scenario  # noqa: PLC0415 (start-up)

        return render_scenario(self.told, self.file, folder)


def open_scenario(name: str) -> OpenScenario:
    """The scenario of that name, or in that file.

    Raises:
        CallersError: there is none, or it is no scenario.
    """
    from voicebot.bench.scenarios.schema import find_scenario, read_scenario  # noqa: PLC0415

    file = find_scenario(name)
    return OpenScenario(read_scenario(file), file)


@click.command("scenarios")
@click.pass_obj
def scenarios_command(context: CliContext) -> None:
    """List the scenarios that ship."""
    from rich.table import Table  # noqa: PLC0415 (start-up)

    from voicebot.bench.scenarios.schema import library_scenarios, read_scenario  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in ("name", "title", "what it shows"):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for name, file in library_scenarios().items():
        scenario = read_scenario(file)
        table.add_row(name, scenario.title, scenario.about)
    context.console.print(table)
