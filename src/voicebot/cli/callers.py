"""``voicebot callers``: make callers of sentences, record them, check them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.cli.context import takes_settings
from voicebot.errors import AudioError, CallersError

if TYPE_CHECKING:
    from voicebot.bench.caller_folder import CallerFolder, Line
    from voicebot.cli.context import CliContext

__all__ = ["callers_group"]

_PATH = click.Path(path_type=Path)


@click.group("callers")
def callers_group() -> None:
    """Folders of callers for bench: make, record and check them."""


@callers_group.command("make")
@click.argument("sentences", type=_PATH)
@click.argument("folder", type=_PATH)
@takes_settings
def _make_callers(context: CliContext, *, sentences: Path, folder: Path) -> None:
    """Let the configured voice speak SENTENCES, and put labelled callers into FOLDER.

    SENTENCES is a text file, a sentence a line. |0.6| inside one is a pause in seconds; a kind and
    a conversation may stand before it, with tabs between. --set tts.voice=... chooses who speaks.
    """
    from voicebot.bench.caller_folder import CallerFolder, read_lines  # noqa: PLC0415 (start-up)
    from voicebot.bench.scenarios.spoken import speak_with  # noqa: PLC0415
    from voicebot.builders.tts import tts_factory  # noqa: PLC0415
    from voicebot.cli.startup import prepare_models  # noqa: PLC0415

    lines = read_lines(sentences)
    made = CallerFolder(folder)
    prepared = prepare_models(context)
    choice = prepared.profile.tts
    tts = tts_factory(choice, context.settings, prepared.store)()
    speaker = f"{choice.engine}-{context.settings.tts.voice or choice.model}"
    try:
        for line in lines:
            try:
                samples, speech = speak_with(tts, line.text)
                made.add(line, samples, speech, speaker=speaker, checked=True)
            except CallersError as error:
                raise CallersError(
                    f"{sentences}:{line.number}: {error.problem}{_kept(made, folder)}",
                    error.way_out,
                ) from error
    finally:
        tts.close()
    context.console.print(f"{made.turns} turns in {folder}", soft_wrap=True)


@callers_group.command("record")
@click.argument("sentences", type=_PATH)
@click.argument("folder", type=_PATH)
@click.option("--speaker", default="me", show_default=True, help="Who speaks, for the reports.")
@takes_settings
def _record_callers(context: CliContext, *, sentences: Path, folder: Path, speaker: str) -> None:
    """Record somebody who reads SENTENCES aloud, and put labelled callers into FOLDER.

    Each sentence is shown; recording ends when you have been silent for 1.5 s. Ctrl-C keeps what
    was recorded. The ends of speech are found by energy and marked as unchecked: look at them with
    `voicebot callers check`.
    """
    from voicebot.audio.devices import require_devices  # noqa: PLC0415 (start-up)
    from voicebot.bench.caller_folder import CallerFolder, read_lines  # noqa: PLC0415

    lines = read_lines(sentences)
    require_devices(context.settings.audio.input, context.settings.audio.output)
    made = CallerFolder(folder)
    try:
        asyncio.run(_record(context, lines, made, speaker))
    finally:
        context.console.print(f"{made.turns} turns in {folder}", soft_wrap=True)
    context.console.print("Labels are by energy: check them with `voicebot callers check`.")


async def _record(context: CliContext, lines: list[Line], made: CallerFolder, speaker: str) -> None:
    from voicebot.audio.devices import Microphone  # noqa: PLC0415 (start-up)
    from voicebot.bench.caller_folder import label_speech  # noqa: PLC0415
    from voicebot.bench.recorder import record_sentence  # noqa: PLC0415
    from voicebot.builders.turns import vad_factory  # noqa: PLC0415
    from voicebot.models.store import ModelStore  # noqa: PLC0415

    vad = vad_factory(ModelStore(context.settings.models.dir))()
    audio = context.settings.audio
    try:
        for number, line in enumerate(lines, start=1):
            context.console.print(f"{number}/{len(lines)}  {line.text}", markup=False)
            for is_last_try in (False, True):
                with Microphone(audio.input, block_ms=audio.block_ms) as microphone:
                    samples = await record_sentence(microphone.blocks(), vad)
                speech = label_speech(samples) if samples is not None else ()
                if samples is not None and speech:
                    made.add(line, samples, speech, speaker=speaker, checked=False)
                    break
                if is_last_try:
                    raise AudioError(
                        f"nobody was heard saying sentence {number}, twice",
                        "see `voicebot doctor` for the microphone",
                    )
                context.console.print("Nobody was heard. Once more:")
                context.console.print(f"{number}/{len(lines)}  {line.text}", markup=False)
    finally:
        vad.close()


def _kept(made: CallerFolder, folder: Path) -> str:
    return f" (the {made.turns} turns before it are in {folder})" if made.turns else ""


@callers_group.command("check")
@click.argument("folder", type=_PATH)
@click.pass_obj
def _check_callers(context: CliContext, folder: Path) -> None:
    """Hold FOLDER against its contract, and list labels that stand to be checked by ear."""
    from voicebot.bench.callers import MANIFEST_NAME, load_callers  # noqa: PLC0415 (start-up)

    callers = load_callers(folder)
    turns = [turn for caller in callers for turn in caller.turns]
    kinds = sorted({turn.kind for turn in turns})
    total_s = sum(turn.duration_s for turn in turns)
    context.console.print(
        f"{len(callers)} callers, {len(turns)} turns, {total_s:.0f} s of sound; "
        f"kinds: {', '.join(kinds)}; pauses: {sum(len(turn.pauses) for turn in turns)}",
        soft_wrap=True,
    )
    rows = (folder / MANIFEST_NAME).read_text(encoding="utf-8-sig").splitlines()
    unchecked = [
        row["path"]
        for text in rows
        if text.strip() and not (row := json.loads(text)).get("checked", 1)
    ]
    for name in unchecked:
        turn = next(each for each in turns if each.name == name)
        spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in turn.speech)
        context.console.print(
            f"to be checked: {name}: speech {spans}", markup=False, soft_wrap=True
        )
    if unchecked:
        context.console.print(
            f"Listen to each, correct `speech` in {folder / MANIFEST_NAME}, and set `checked` to "
            "true.",
            soft_wrap=True,
        )
