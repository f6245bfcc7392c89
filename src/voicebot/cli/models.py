"""``voicebot models``: what there is, and fetching, checking and removing it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from voicebot.cli.progress import model_size, pull_with_progress
from voicebot.errors import ModelDamagedError, ModelError, ModelFetchError

if TYPE_CHECKING:
    from voicebot.cli.context import CliContext
    from voicebot.models.store import ModelFacts, ModelStore

__all__ = ["models_group"]

_DEFAULT_PROFILE = "embedded"
_STATE_STYLES = {"ready": "green", "absent": "dim", "damaged": "red", "outdated": "yellow"}


@click.group("models")
def models_group() -> None:
    """Model files: list, fetch, check and remove them."""


@models_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def _list_models(context: CliContext, *, as_json: bool) -> None:
    """List every model, its licence and whether it is here."""
    from voicebot.models.registry import MODELS, profiles_of  # noqa: PLC0415 (start-up time)

    store = _store(context)
    if as_json:
        rows = [
            {
                "name": model.name,
                "role": model.role,
                "languages": model.languages,
                "profiles": profiles_of(model.name),
                "size_bytes": model.size_bytes,
                "licence": model.licence,
                "engine": model.engine,
                "source": model.source.label,
                "state": store.state(model.name),
            }
            for model in MODELS.values()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table  # noqa: PLC0415 (start-up time)

    table = Table(box=None, pad_edge=False)
    for column in ("name", "role", "profile", "size", "licence", "state"):
        table.add_column(column, no_wrap=column in {"name", "state"}, overflow="fold")
    for model in MODELS.values():
        state = store.state(model.name)
        table.add_row(
            model.name,
            model.role,
            ", ".join(profiles_of(model.name)),
            model_size(model),
            model.licence,
            f"[{_STATE_STYLES[state]}]{state}[/]",
        )
    context.console.print(table)
    context.console.print(f"in {store.root}", style="dim", soft_wrap=True)


@models_group.command("pull")
@click.argument("names", nargs=-1, metavar="[NAME|PROFILE]...")
@click.pass_obj
def _pull_models(context: CliContext, names: tuple[str, ...]) -> None:
    """Fetch models, by name or by profile (the profile embedded if none is named)."""
    from voicebot.models.registry import resolve_names  # noqa: PLC0415 (start-up time)

    wanted = resolve_names(names or (_DEFAULT_PROFILE,))
    store = _store(context)
    absent = [name for name in wanted if not store.is_ready(name)]
    if absent and context.settings.models.offline:
        raise ModelFetchError(
            f"{absent[0]} is not fetched: models.offline is set", "run with models.offline off"
        )
    fetched = pull_with_progress(store, wanted, context.error_console)
    for name in wanted:
        word = "fetched" if name in fetched else "was here"
        context.console.print(f"{name}: {word}", highlight=False)


@models_group.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME|PROFILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def _verify_models(context: CliContext, names: tuple[str, ...], *, as_json: bool) -> None:
    """Read every file of the models that are here (or of those named), against its checksum."""
    from voicebot.models.registry import MODELS, resolve_names  # noqa: PLC0415 (start-up time)

    store = _store(context)
    wanted = resolve_names(names) or tuple(name for name in MODELS if store.state(name) != "absent")
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
                context.console.print(
                    f"{name}: ok, sha256 {result.sha256}", highlight=False, soft_wrap=True
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


def _store(context: CliContext) -> ModelStore:
    from voicebot.models.store import ModelStore  # noqa: PLC0415 (start-up time)

    return ModelStore(context.settings.models.dir)


def _as_row(name: str, result: ModelFacts | ModelError) -> dict[str, object]:
    if isinstance(result, ModelError):
        return {"name": name, "ok": False, "problem": result.problem, "way_out": result.way_out}
    return {**dataclasses.asdict(result), "path": str(result.path), "ok": True}
