"""The group of commands, what they share, and how every failure ends.

Subcommands are imported only when they are asked for, so that ``voicebot --help`` answers at once;
that is why their summaries stand in a table here.

Exit codes: 0 done, 1 an expected failure, 2 a usage or configuration error, 70 a bug, 130 stopped
with Ctrl-C.
"""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from voicebot import __version__
from voicebot.cli.context import CliContext, stage_options
from voicebot.errors import VoicebotError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["SUBCOMMANDS", "Subcommand", "main", "run", "voicebot_group"]

_BUG = 70
_STOPPED = 130
_ASKS_FOR_HELP = "voicebot.asks_for_help"

_log = logging.getLogger("voicebot")


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is found.

    Attributes:
        target: ``module:name`` of a click command.
        summary: the line that ``voicebot --help`` shows.
    """

    target: str
    summary: str


SUBCOMMANDS: Mapping[str, Subcommand] = {
    "chat": Subcommand("voicebot.cli.chat:chat_command", "Talk with the bot."),
    "kiosk": Subcommand("voicebot.cli.kiosk:kiosk_command", "Serve the page that talks."),
    "bench": Subcommand("voicebot.cli.bench:bench_command", "Measure how fast it answers."),
    "acoustic": Subcommand(
        "voicebot.cli.acoustic:acoustic_command", "Measure it at the sound card."
    ),
    "callers": Subcommand(
        "voicebot.cli.callers:callers_group", "Make and record callers for bench."
    ),
    "serve-wyoming": Subcommand(
        "voicebot.cli.serve_wyoming:serve_wyoming_command",
        "Recognise and speak for Home Assistant.",
    ),
    "models": Subcommand("voicebot.cli.models:models_group", "List, fetch and verify models."),
    "knowledge": Subcommand(
        "voicebot.cli.knowledge:knowledge_group", "Ask the bot's folder of knowledge."
    ),
    "voices": Subcommand("voicebot.cli.voices:voices_command", "List the voices."),
    "mqtt": Subcommand("voicebot.cli.mqtt:mqtt_group", "Look at the kiosk's message bus."),
    "devices": Subcommand(
        "voicebot.cli.devices:devices_group", "List, test and choose sound devices."
    ),
    "doctor": Subcommand("voicebot.cli.doctor:doctor_command", "Check this machine."),
    "config": Subcommand("voicebot.cli.config:config_command", "Show the effective settings."),
}
"""Every subcommand by name, in the order of the help page."""


class _LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(SUBCOMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module_name, _, name = SUBCOMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(importlib.import_module(module_name), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and args[0] not in SUBCOMMANDS and args[0][:1] != "-":
            # click's own suggestion knows only commands that are loaded
            raise click.exceptions.NoSuchCommand(args[0], possibilities=list(SUBCOMMANDS), ctx=ctx)
        ctx.meta[_ASKS_FOR_HELP] = any(arg in ctx.help_option_names for arg in args)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.summary) for name, one in SUBCOMMANDS.items()])


@click.group(
    name="voicebot", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read settings from this TOML file.",
)
@click.option("--profile", metavar="NAME", help="Which engines and models take part.")
@stage_options
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, such as turns.soft_end_ms=120; may be repeated.",
)
@click.option("--no-color", is_flag=True, help="Print without colour, as NO_COLOR does.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Log what happens, and the traceback of an error."
)
@click.version_option(
    __version__, "--version", prog_name="voicebot", message="%(prog)s %(version)s"
)
@click.pass_context
def voicebot_group(
    ctx: click.Context,
    *,
    config_file: Path | None,
    profile: str | None,
    asr: str | None,
    llm: str | None,
    tts: str | None,
    assignments: tuple[str, ...],
    no_color: bool,
    verbose: bool,
) -> None:
    """Talk to a computer and it answers out loud, measured turn by turn."""
    _configure_logging(verbose=verbose)
    if ctx.meta.get(_ASKS_FOR_HELP):
        return  # a broken configuration must not keep anybody from reading help
    from rich.console import Console  # noqa: PLC0415 (keeps --help quick)

    from voicebot.config_sources import load_settings  # noqa: PLC0415 (keeps --help quick)

    loaded = load_settings(config_file=config_file, profile=profile, assignments=assignments)
    # None lets rich look at NO_COLOR itself.
    without_color = True if no_color else None
    ctx.obj = CliContext(
        settings=loaded.settings,
        origins=loaded.origins,
        console=Console(no_color=without_color, highlight=False),
        error_console=Console(no_color=without_color, highlight=False, stderr=True),
    ).with_stage_models(asr=asr, llm=llm, tts=tts)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line to its end.

    Args:
        arguments: without the program's name; the process's own if None.

    Returns:
        The exit code. Every failure has been reported on standard error by then.
    """
    try:
        result: Any = voicebot_group.main(
            None if arguments is None else list(arguments),
            prog_name="voicebot",
            standalone_mode=False,
        )
        # What is still buffered must meet a broken pipe here, not at the interpreter's end.
        sys.stdout.flush()
    except SystemExit as error:  # how click and rich themselves end on a broken pipe
        return error.code if isinstance(error.code, int) else 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (one line, not a traceback)
        return _reported(error)
    return result if isinstance(result, int) else 0


def main() -> NoReturn:
    """The console entry point: run the process's command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows often cannot take every character; an escape is better than no output.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())


def _configure_logging(*, verbose: bool) -> None:
    """Log voicebot's own messages to standard error; libraries keep their own habits."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    if not verbose:
        # What carries a traceback stands for an error that reaches the user as a line of its own.
        handler.addFilter(lambda record: record.exc_info is None)
    _log.handlers[:] = [handler]
    _log.setLevel(logging.DEBUG if verbose else logging.WARNING)


def _reported(error: BaseException) -> int:
    """Say in one line what ended the command, and give the exit code for it."""
    match error:
        case VoicebotError():
            _log.debug("where the error arose", exc_info=error)
            _print_error(str(error))
            code = error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            code = error.exit_code
        case click.ClickException():
            message = error.format_message().rstrip(".")
            context = error.ctx if isinstance(error, click.UsageError) else None
            way_out = f": try '{context.command_path} --help'" if context else ""
            _print_error(message + way_out)
            code = error.exit_code
        case click.Abort(__cause__=EOFError() as cause):  # click takes any for a Ctrl-D
            code = _reported_bug(cause)
        case click.Abort() | KeyboardInterrupt():
            click.echo("voicebot: stopped", err=True)
            code = _STOPPED
        case BrokenPipeError():
            code = _end_of_reader()
        case OSError(errno=errno.ENOSPC):
            _print_error("the output cannot be written: no space left on the device")
            code = 1
        case MemoryError() | RuntimeError(args=("can't start new thread",)):
            _log.debug("where the error arose", exc_info=error)
            _print_error(
                "this machine gives voicebot no more memory or threads: choose smaller models, "
                "close other programs, or raise the limits (ulimit -v, ulimit -u)"
            )
            code = 1
        case ExceptionGroup():
            # Tasks that ran together: a bug outweighs failures that were to be expected.
            leaves = list(_leaves(error))
            code = _reported(
                next((leaf for leaf in leaves if not isinstance(leaf, VoicebotError)), leaves[0])
            )
        case _:
            code = _reported_bug(error)
    return code


def _reported_bug(error: BaseException) -> int:
    _log.debug("where the error arose", exc_info=error)
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    click.echo(
        f"voicebot: unexpected error: {text} "
        "(please report; run again with --verbose for the traceback)",
        err=True,
    )
    return _BUG


def _print_error(line: str) -> None:
    click.echo(f"voicebot: error: {' '.join(line.split())}", err=True)


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _end_of_reader() -> int:
    """Whoever read our output has closed it, as ``| head`` does; that is no failure to report."""
    # Python flushes standard output once more when it exits, which would complain.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return 1
