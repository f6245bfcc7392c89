"""``voicebot chat``: talk with the bot, at the microphone or from a file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.audio.desktop import DesktopAudio
from voicebot.audio.devices import require_devices
from voicebot.audio.files import read_audio, write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.cli.chat_conversation import ChatConversation, Keeping
from voicebot.cli.context import takes_settings
from voicebot.cli.devices import desktop_choice, devices_to_use
from voicebot.cli.startup import listening, prepare_models
from voicebot.conversation_rules import system_prompt
from voicebot.keeping.recorder import prepare_folder
from voicebot.keeping.transcript import check_transcript_path
from voicebot.wake_word import MicroWakeWordSpotter

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.audio.sinks import Playback
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import PreparedModels
    from voicebot.stages import Stages
    from voicebot.wake_word import WordSpotter

__all__ = ["chat_command"]

_LISTEN_ON_S = 1.5
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class _Recording:
    """What is spoken instead of the microphone, and where the answer is written."""

    path: Path
    samples: Samples
    output_file: Path | None


@click.command("chat")
@click.option(
    "--input",
    "input_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Speak this recording instead of the microphone; ends when it has been answered.",
)
@click.option(
    "--output",
    "output_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --input: write what the bot says to this WAV file, in step with the recording.",
)
@click.option(
    "--persona",
    "persona_file",
    metavar="FILE",
    help="Tell the model about its role from this text file (llm.system_prompt_file).",
)
@click.option(
    "--transcript",
    "transcript_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what is said to this file as it is said: .md to read, .jsonl to work with.",
)
@click.option(
    "--record",
    "record_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Record the conversation into this folder, so that `bench --callers DIR` can replay it.",
)
@click.option("--plain", is_flag=True, default=None, help="Print plain lines, not a live view.")
@click.option(
    "--push-to-talk",
    is_flag=True,
    default=None,
    help="Listen only while the space bar is held, or from one press to the next.",
)
@takes_settings
def chat_command(
    context: CliContext,
    *,
    input_file: Path | None,
    output_file: Path | None,
    persona_file: str | None,
    transcript_file: Path | None,
    record_folder: Path | None,
    plain: bool | None,
    push_to_talk: bool | None,
) -> int:
    """Talk with the bot, aloud or by typing; Ctrl-C ends the conversation.

    The latency shown for each turn counts from the estimated end of your speech, since a live
    conversation has no label; docs/measuring.md says how far the estimate is off.
    """
    context = (
        context.with_flag("llm.system_prompt_file", "--persona", persona_file)
        .with_flag("chat.plain", "--plain", plain)
        .with_flag("chat.push_to_talk", "--push-to-talk", push_to_talk)
    )
    # Whatever can be wrong is found before the models are loaded.
    if output_file is not None and input_file is None:
        raise click.UsageError("--output goes with --input")
    if input_file is not None and output_file is not None:
        if output_file.resolve() == input_file.resolve():
            raise click.UsageError("--output would overwrite the recording of --input")
        if not output_file.resolve().parent.is_dir():
            raise click.UsageError(f"--output: there is no folder {output_file.parent}")
    system_prompt(context.settings)
    wake_word = context.settings.chat.wake_word
    spotter = None if wake_word == "off" else MicroWakeWordSpotter(wake_word)
    if transcript_file is not None:
        check_transcript_path(transcript_file)
    recording = None
    if input_file is not None:
        recording = _Recording(input_file, _read_recording(context, input_file), output_file)
    else:
        devices = devices_to_use(context)
        require_devices(devices.input, devices.output)
    if record_folder is not None:
        prepare_folder(record_folder)
    prepared = prepare_models(context)
    keeping = Keeping(transcript_file, record_folder)
    return asyncio.run(_chat(context, prepared, recording, keeping, spotter))


def _read_recording(context: CliContext, path: Path) -> Samples:
    audio = read_audio(path)
    for warning in audio.warnings:
        context.error_console.print(f"{path}: {warning}", markup=False, soft_wrap=True)
    return audio.samples


async def _chat(
    context: CliContext,
    prepared: PreparedModels,
    recording: _Recording | None,
    keeping: Keeping,
    spotter: WordSpotter | None,
) -> int:
    async with listening(context, prepared) as loaded:
        conversation = ChatConversation(context, prepared, loaded, keeping, spotter)
        if recording is not None:
            await _converse_with_recording(context, conversation, loaded.stages, recording)
            return conversation.exit_code
        rate_hz = loaded.stages.tts.sample_rate_hz
        choice = desktop_choice(context, sample_rate_hz=rate_hz)
        async with DesktopAudio(choice, conversation.tell) as desktop:
            try:
                await conversation.hold(
                    desktop.source,
                    desktop.sink,
                    names=desktop.names,
                    greeting="Speak; Ctrl-C ends the conversation.",
                )
            finally:
                if mishaps := desktop.mishaps():
                    conversation.tell(f"Sound devices: {mishaps}.")
        return conversation.exit_code


async def _converse_with_recording(
    context: CliContext, conversation: ChatConversation, stages: Stages, recording: _Recording
) -> None:
    audio = context.settings.audio
    microphone = VirtualMicrophone(block_ms=audio.block_ms)
    speaker = VirtualSpeaker(
        stages.tts.sample_rate_hz,
        block_ms=audio.block_ms,
        output_latency_ms=audio.output_latency_ms,
    )
    starts_s = microphone.play(recording.samples)
    listen_until_s = starts_s + len(recording.samples) / INPUT_SAMPLE_RATE_HZ + _LISTEN_ON_S

    async def see_to_the_end() -> None:
        await asyncio.sleep(listen_until_s - asyncio.get_running_loop().time())
        while not conversation.is_idle:  # noqa: ASYNC110  # seen from outside only
            await asyncio.sleep(_POLL_S)
        microphone.close()

    names = (f"recording {recording.path.name}", "virtual loudspeaker")
    watching = asyncio.create_task(see_to_the_end())
    try:
        await conversation.hold(
            microphone, speaker, names=lambda: names, output_latency_ms=audio.output_latency_ms
        )
    finally:
        watching.cancel()
        if recording.output_file is not None:
            samples = _from_recording_start(speaker.take_played(), starts_s, speaker.sample_rate_hz)
            write_wav(recording.output_file, samples, speaker.sample_rate_hz)
            context.console.print(f"Wrote {recording.output_file}", markup=False, soft_wrap=True)
    if not conversation.turns_shown:
        context.error_console.print("No speech was heard in the recording.")


def _from_recording_start(
    playbacks: list[Playback], starts_s: float, sample_rate_hz: int
) -> Samples:
    import numpy as np  # noqa: PLC0415  # only for this

    end_s = max(
        (item.start_s + len(item.samples) / sample_rate_hz for item in playbacks),
        default=starts_s,
    )
    track = np.zeros(max(1, round((end_s - starts_s) * sample_rate_hz) + 1), dtype=np.float32)
    for item in playbacks:
        at = round((item.start_s - starts_s) * sample_rate_hz)
        track[at : at + len(item.samples)] = item.samples
    return track
