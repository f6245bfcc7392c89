"""``voicebot config``: the effective settings, and where each came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.cli.context import CliContext
    from voicebot.config import Settings

__all__ = ["config_command", "settings_as_json", "settings_as_toml"]


@click.command("config")
@click.option("--toml", "form", flag_value="toml", help="Print a TOML file that --config can read.")
@click.option("--json", "form", flag_value="json", help="Print a JSON object, one entry a setting.")
@click.pass_obj
def config_command(context: CliContext, form: str | None) -> None:
    """Show every setting, its value and where the value came from.

    A value comes from the last of these that gives one: the defaults, one TOML file, the
    environment, flags.
    """
    if form == "toml":
        _print_plain(context, settings_as_toml(context.settings, context.origins))
    elif form == "json":
        _print_plain(context, settings_as_json(context.settings, context.origins))
    elif context.console.is_terminal:
        _print_table(context)
    else:
        _print_columns(context)


def settings_as_toml(settings: Settings, origins: Mapping[str, str]) -> str:
    """A TOML file that gives the same settings.

    Args:
        settings: the values. One that is None has no form in TOML and becomes a comment.
        origins: written behind every value as a comment.
    """
    from voicebot.config import settings_by_key  # noqa: PLC0415 (keeps --help free of pydantic)

    lines: list[str] = []
    section = ""
    for key, value in settings_by_key(settings).items():
        key_section, _, name = key.rpartition(".")
        if key_section != section:
            section = key_section
            lines += ["", f"[{section}]"]
        origin = _escaped(origins[key])
        if value is None:
            lines.append(f"# {name} is none  # {origin}")
        else:
            lines.append(f"{name} = {_toml_value(value)}  # {origin}")
    return "\n".join(lines)


def settings_as_json(settings: Settings, origins: Mapping[str, str]) -> str:
    """A JSON object: dotted key to ``{"value": …, "origin": …}``; paths are strings."""
    from voicebot.config import settings_by_key  # noqa: PLC0415 (keeps --help free of pydantic)

    return json.dumps(
        {
            key: {"value": value, "origin": origins[key]}
            for key, value in settings_by_key(settings).items()
        },
        indent=2,
        default=str,
    )


def _toml_value(value: object) -> str:
    if isinstance(value, (str, Path)):
        # JSON's escapes are a subset of TOML's; TOML alone also wants DEL escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _shown(value: object) -> str:
    return "none" if value is None else _toml_value(value)


def _escaped(text: str) -> str:
    """Text for a comment: a path may hold a line break, a comment may not."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")


def _rows(context: CliContext) -> list[tuple[str, str, str]]:
    from voicebot.config import settings_by_key  # noqa: PLC0415 (keeps --help free of pydantic)

    return [
        (key, _shown(value), context.origins[key])
        for key, value in settings_by_key(context.settings).items()
    ]


def _print_table(context: CliContext) -> None:
    from rich.table import Table  # noqa: PLC0415 (keeps --help quick)
    from rich.text import Text  # noqa: PLC0415 (keeps --help quick)

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    # Folded, never cut: a value must be readable to its end in a narrow window.
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for key, value, origin in _rows(context):
        style = "dim" if origin == "default" else "bold"
        # Text, since a value may look like rich's markup.
        table.add_row(Text(key, style), Text(value, style), Text(origin, style))
    context.console.print(table)


def _print_columns(context: CliContext) -> None:
    """One line a setting, for ``grep`` and its like."""
    rows = _rows(context)
    key_width = max(len(key) for key, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows if len(value) <= key_width)
    lines = [
        f"{key:<{key_width}}  {value:<{value_width}}  {origin}".rstrip()
        for key, value, origin in rows
    ]
    _print_plain(context, "\n".join(lines))


def _print_plain(context: CliContext, text: str) -> None:
    click.echo(text, file=context.console.file)
