"""``voicebot doctor``: checks this machine and measures its models."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from voicebot.cli.context import takes_settings
from voicebot.errors import VoicebotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from voicebot.cli.context import CliContext
    from voicebot.doctor import Finding

__all__ = ["doctor_command"]

_MARKS = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Check, but do not measure the models' speed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@takes_settings
def doctor_command(context: CliContext, *, quick: bool, as_json: bool) -> None:
    """Check this machine and the models of the chosen profile; measure each model's speed here.

    The best thread counts are kept, and later conversations use them. So is what the machine can
    do, by which the profile auto chooses.
    """
    findings = []
    for finding in _findings(context, quick=quick):
        findings.append(finding)
        if not as_json:
            _print_finding(context.console, finding)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    failed = [finding.subject for finding in findings if finding.state == "fail"]
    if failed:
        raise VoicebotError(
            f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}",
            "each says above what to do",
        )


def _findings(context: CliContext, *, quick: bool) -> Iterator[Finding]:
    from voicebot.choice import (  # noqa: PLC0415 (start-up time)
        choose_profile,
        device_warnings,
        look_around,
    )
    from voicebot.doctor import (  # noqa: PLC0415 (start-up time)
        check_machine,
        check_profile,
        gather_findings,
        gather_speeds,
    )
    from voicebot.machine import kept_facts  # noqa: PLC0415 (start-up time)
    from voicebot.models.store import ModelStore  # noqa: PLC0415 (start-up time)

    settings = context.settings
    store = ModelStore(settings.models.dir)
    machine = kept_facts(anew=not quick)
    chosen = choose_profile(settings, look_around(settings, store, measure=lambda: machine))
    yield check_machine(machine)
    warnings = (*chosen.warnings, *device_warnings(settings))
    yield check_profile(dataclasses.replace(chosen, warnings=warnings))
    yield from gather_findings(store, chosen.models)
    if not quick:
        context.error_console.print("measuring the models", style="dim")
        yield from gather_speeds(store, chosen, settings)


def _print_finding(console: Console, finding: Finding) -> None:
    from rich.markup import escape  # noqa: PLC0415 (start-up time)

    way_out = f" [bold]→ {escape(finding.way_out)}[/]" if finding.way_out else ""
    console.print(
        f"{_MARKS[finding.state]} {finding.subject}: {escape(finding.detail)}{way_out}",
        highlight=False,
        soft_wrap=True,
    )
