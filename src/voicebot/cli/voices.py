"""``voicebot voices``: who can speak, in which language, how well."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from voicebot.cli.context import CliContext
    from voicebot.voices import Voice

__all__ = ["voices_command"]

_NAMES_SHOWN = 6


@click.command("voices")
@click.option("--language", metavar="TAG", help="Only voices of this language: de, en-us.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")
@click.pass_obj
def voices_command(context: CliContext, *, language: str | None, as_json: bool) -> None:
    """List the voices by language and quality, with the speakers of those that are here.

    A Piper voice is chosen by tts.engine=piper and tts.model=NAME, one of eSpeak NG by
    tts.engine=espeak and tts.voice=NAME.
    """
    from pathlib import Path  # noqa: PLC0415 (start-up time)

    from voicebot.choice import is_path  # noqa: PLC0415 (start-up time)
    from voicebot.models.store import ModelStore  # noqa: PLC0415 (start-up time)
    from voicebot.voices import known_voices, speaks  # noqa: PLC0415 (start-up time)

    model = context.settings.tts.model
    own = Path(model).expanduser() if is_path(model) else None
    voices = known_voices(ModelStore(context.settings.models.dir), own)
    chosen = [voice for voice in voices if language is None or speaks(voice, language)]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in chosen], indent=2))
        return
    if not chosen:
        context.console.print(f"No voice speaks {language}.", highlight=False, markup=False)
        return
    _print(context, chosen)


def _print(context: CliContext, voices: list[Voice]) -> None:
    from rich.table import Table  # noqa: PLC0415 (start-up time)
    from rich.text import Text  # noqa: PLC0415 (names are no markup)

    table = Table(box=None, pad_edge=False)
    for column in ("engine", "name", "language", "quality", "speakers", "state"):
        table.add_column(column, no_wrap=column != "speakers", overflow="fold")
    for voice in voices:
        table.add_row(
            voice.engine,
            Text(voice.name),
            Text(", ".join(voice.languages)),
            voice.quality,
            Text(voice.title or _speakers(voice)),
            voice.state,
        )
    context.console.print(table)


def _speakers(voice: Voice) -> str:
    if voice.speakers is None:
        return ""
    shown = ", ".join(voice.speaker_names[:_NAMES_SHOWN])
    more = ", …" if len(voice.speaker_names) > _NAMES_SHOWN else ""
    return f"{voice.speakers}: {shown}{more}" if shown else str(voice.speakers)
