"""``voicebot models``: what there is, and fetching, checking, locking and removing it."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import click

from voicebot.cli.progress import announce_fetches, model_size, pull_with_progress
from voicebot.errors import ModelDamagedError, ModelError, ModelFetchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from voicebot.cli.context import CliContext
    from voicebot.models.registry import Model
    from voicebot.models.store import ModelFacts, ModelStore

__all__ = ["models_group"]

_DEFAULT_PROFILE = "embedded"
_ROLES = ("vad", "turn", "asr", "llm", "tts", "embeddings")
_DROPPED_FIRST = ("profile", "licence", "language", "role", "size")
"""The columns of the list that a narrow terminal goes without, in this order."""

_ANY_WIDTH = 10_000
_PROFILE_NAMES = ("auto", "embedded", "cpu", "gpu", "remote")
_STATE_STYLES = {"ready": "green", "absent": "dim", "damaged": "red", "outdated": "yellow"}


@click.group("models")
def models_group() -> None:
    """Model files: list, fetch, check and remove them."""


@models_group.command("list")
@click.option("--role", type=click.Choice(_ROLES), help="Only models of this role.")
@click.option("--language", metavar="CODE", help="Only models that know this language, as de.")
@click.option("--here", "only_here", is_flag=True, help="Only models that are on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def _list_models(
    context: CliContext, *, role: str | None, language: str | None, only_here: bool, as_json: bool
) -> None:
    """List every model, its size, licence and languages, and whether it is here."""
    from voicebot.models.registry import profiles_of  # noqa: PLC0415 (start-up time)

    store = _store(context)
    models = [
        model
        for model in _known(store)
        if role in {None, model.role}
        and (language is None or model.serves(language))
        and not (only_here and store.state(model.name) == "absent")
    ]
    if as_json:
        facts = [
            {
                "name": model.name,
                "role": model.role,
                "languages": model.languages,
                "profiles": profiles_of(model.name),
                "size_bytes": model.size_bytes,
                "shown_bytes": model.shown_bytes,
                "parameters": model.parameters,
                "licence": model.licence,
                "gated": model.gated,
                "engine": model.engine,
                "source": model.source.label,
                "state": store.state(model.name),
            }
            for model in models
        ]
        click.echo(json.dumps(facts, indent=2))
        return
    rows = [
        {
            "name": model.name,
            "state": store.state(model.name),
            "role": model.role,
            "size": model_size(model),
            "language": ", ".join(model.languages),
            "licence": model.licence,
            "profile": ", ".join(profiles_of(model.name)),
        }
        for model in models
    ]
    _print_rows(context.console, rows)
    context.console.print(f"in {store.root}", style="dim", soft_wrap=True)


@models_group.command("pull")
@click.argument("names", nargs=-1, metavar="[NAME|PROFILE]...")
@click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing.")
@click.pass_obj
def _pull_models(context: CliContext, names: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    """Fetch models, by name or by profile (the profile embedded if none is named).

    A name is one that `list` shows, an engine with the rest of one (faster-whisper:base.en),
    owner/name of a hub repository, or a Piper voice (de_DE-thorsten-medium). What will be fetched
    is said first; a terminal is asked whether to go on, a script is not. A download that broke off
    goes on where it stopped.
    """
    store = _store(context)
    wanted = _resolved(context, store, names or (_DEFAULT_PROFILE,))
    absent = [name for name in wanted if not store.is_ready(name)]
    if absent and context.settings.models.offline:
        raise ModelFetchError(
            f"{absent[0]} is not fetched: models.offline is set", "run with models.offline off"
        )
    asks = not yes and not dry_run and context.error_console.is_terminal and _can_answer()
    announce_fetches(store, absent, context.error_console, ask=asks)
    fetched: tuple[str, ...] = ()
    if not dry_run:
        fetched = pull_with_progress(store, wanted, context.error_console)
    for name in wanted:
        word = "fetched" if name in fetched else "is absent" if name in absent else "was here"
        context.console.print(f"{name}: {word}", highlight=False)


@models_group.command("lock")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def _show_lock(context: CliContext, *, as_json: bool) -> None:
    """Show what the first download of each hub model gave: later ones are held to it."""
    locked = _store(context).locked()
    if as_json:
        click.echo(json.dumps({name: dataclasses.asdict(one) for name, one in locked.items()}))
        return
    if not locked:
        context.console.print("nothing was fetched from a hub yet")
    for name, one in locked.items():
        context.console.print(
            f"{name}: {one.repository}@{one.revision}, {len(one.files)} files",
            highlight=False,
            soft_wrap=True,
        )
        for file, sha256 in one.files.items():
            context.console.print(f"  {sha256}  {file}", highlight=False, soft_wrap=True)


@models_group.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME|PROFILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def _verify_models(context: CliContext, names: tuple[str, ...], *, as_json: bool) -> None:
    """Read every file of the models that are here (or of those named), against its checksum."""
    store = _store(context)
    wanted = _resolved(context, store, names) or tuple(
        model.name for model in _known(store) if store.state(model.name) != "absent"
    )
    checked: dict[str, ModelFacts | ModelError] = {}
    for name in wanted:
        try:
            checked[name] = store.verify(name)
        except ModelError as error:
            checked[name] = error
    if as_json:
        click.echo(
            json.dumps([_as_row(name, result) for name, result in checked.items()], indent=2)
        )
    else:
        for name, result in checked.items():
            if isinstance(result, ModelError):
                context.console.print(f"[red]{name}: {result.problem}[/]", soft_wrap=True)
            else:
                how = "whole, with no checksum to hold it to" if result.is_own else "ok"
                context.console.print(
                    f"{name}: {how}, sha256 {result.sha256}", highlight=False, soft_wrap=True
                )
    failed = {name: error for name, error in checked.items() if isinstance(error, ModelError)}
    if failed:
        ways_out = dict.fromkeys(error.way_out for error in failed.values())
        raise ModelDamagedError(
            f"{len(failed)} of {len(checked)} models cannot be used: {', '.join(failed)}",
            "; ".join(way_out for way_out in ways_out if way_out),
        )


@models_group.command("path")
@click.argument("name")
@click.pass_obj
def _print_model_path(context: CliContext, name: str) -> None:
    """Print where the files of a model lie."""
    click.echo(_store(context).path(name))


@models_group.command("remove")
@click.argument("name")
@click.pass_obj
def _remove_model(context: CliContext, name: str) -> None:
    """Delete the files of a model."""
    removed = _store(context).remove(name)
    context.console.print(f"{name}: {'removed' if removed else 'was not here'}", highlight=False)


def _print_rows(console: Console, rows: Sequence[Mapping[str, str]]) -> None:
    """Print a table that fits a terminal; whatever reads a pipe gets lines of any width."""
    columns = list(rows[0]) if rows else []
    dropped = iter(_DROPPED_FIRST)
    while True:
        table = _table(columns, rows)
        width = console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum
        if width <= console.width:
            break
        if not console.is_terminal:
            console.width = width
            break
        column = next(dropped, None)
        if column is None:
            break
        columns.remove(column)
    console.print(table)


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Table:
    from rich.table import Table  # noqa: PLC0415 (start-up time)
    from rich.text import Text  # noqa: PLC0415 (names are no markup)

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ignore")
    for row in rows:
        style = _STATE_STYLES[row["state"]]
        table.add_row(*(Text(row[one], style=style if one == "state" else "") for one in columns))
    return table


def _known(store: ModelStore) -> Iterable[Model]:
    """The table, and behind it what was fetched without standing in it."""
    from voicebot.models.registry import MODELS  # noqa: PLC0415 (start-up time)

    yield from MODELS.values()
    for name in store.locked():
        if name not in MODELS:
            yield store.model(name)


def _resolved(context: CliContext, store: ModelStore, names: Iterable[str]) -> tuple[str, ...]:
    """Names of models out of a mix of models and profiles, each once, in the order given.

    Raises:
        ConfigError: a name is neither a model nor a profile; close matches are named.
    """
    from voicebot.choice import (  # noqa: PLC0415 (start-up time)
        choose_profile,
        device_warnings,
        look_around,
    )

    resolved: dict[str, None] = {}
    for name in names:
        if name in _PROFILE_NAMES:
            settings = context.settings.model_copy(update={"profile": name})
            chosen = choose_profile(settings, look_around(settings, store))
            context.error_console.print(f"Profile: {chosen.line}", markup=False, soft_wrap=True)
            for warning in (*chosen.warnings, *device_warnings(settings)):
                context.error_console.print(
                    f"! {warning}", style="yellow", markup=False, soft_wrap=True
                )
            if servers := chosen.servers:
                context.error_console.print(
                    f"Servers do the rest and bring their own models: {', '.join(servers)}",
                    markup=False,
                    soft_wrap=True,
                )
            resolved.update(dict.fromkeys(chosen.models))
        else:
            resolved[store.model(name).name] = None
    return tuple(resolved)


def _can_answer() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _store(context: CliContext) -> ModelStore:
    from voicebot.models.store import ModelStore  # noqa: PLC0415 (start-up time)

    return ModelStore(context.settings.models.dir)


def _as_row(name: str, result: ModelFacts | ModelError) -> dict[str, object]:
    if isinstance(result, ModelError):
        return {"name": name, "ok": False, "problem": result.problem, "way_out": result.way_out}
    return {**dataclasses.asdict(result), "path": str(result.path), "ok": True}
