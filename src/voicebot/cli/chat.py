"""``voicebot chat``: talk with the bot, at the microphone or from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.audio.devices import Microphone, Speaker, require_devices
from voicebot.audio.files import read_audio, write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.cli.context import takes_settings
from voicebot.cli.startup import listening, prepare_models
from voicebot.conversation_rules import new_history, session_rules
from voicebot.events import BargedIn, ClauseSpoken, StageFailed, TurnClosed, TurnCommitted
from voicebot.session import Session
from voicebot.telemetry.observers import telemetry
from voicebot.timeline import Mark, break_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples
    from voicebot.audio.sinks import AudioSink, Playback
    from voicebot.audio.sources import AudioSource
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import PreparedModels
    from voicebot.events import Event
    from voicebot.stages import Stages

__all__ = ["chat_command"]

_LISTEN_ON_S = 1.5
_POLL_S = 0.05


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
@takes_settings
def chat_command(
    context: CliContext,
    *,
    input_file: Path | None,
    output_file: Path | None,
) -> None:
    """Talk with the bot; Ctrl-C ends the conversation.

    The latency shown for each turn counts from the estimated end of your speech, since a live
    conversation has no label; docs/measuring.md says how far the estimate is off.
    """
    if output_file is not None and input_file is None:
        raise click.UsageError("--output goes with --input")
    if input_file is not None and output_file is not None:
        if output_file.resolve() == input_file.resolve():
            raise click.UsageError("--output would overwrite the recording of --input")
        if not output_file.resolve().parent.is_dir():
            raise click.UsageError(f"--output: there is no folder {output_file.parent}")
    recording = _read_recording(context, input_file) if input_file is not None else None
    if recording is None:
        require_devices(context.settings.audio.input, context.settings.audio.output)
    prepared = prepare_models(context)
    asyncio.run(_chat(context, prepared, recording, output_file))


def _read_recording(context: CliContext, path: Path) -> Samples:
    audio = read_audio(path)
    for warning in audio.warnings:
        context.error_console.print(f"{path}: {warning}", markup=False, soft_wrap=True)
    return audio.samples


async def _chat(
    context: CliContext,
    prepared: PreparedModels,
    recording: Samples | None,
    output_file: Path | None,
) -> None:
    audio = context.settings.audio
    async with listening(context, prepared) as loaded:
        if recording is not None:
            await _converse_with_recording(context, loaded.stages, recording, output_file)
            return
        rate_hz = loaded.stages.tts.sample_rate_hz
        with (
            Microphone(audio.input, block_ms=audio.block_ms) as microphone,
            Speaker(audio.output, sample_rate_hz=rate_hz, block_ms=audio.block_ms) as speaker,
            telemetry(context.settings.telemetry, prepared.profile.model_names) as watching,
        ):
            context.error_console.print("Speak; Ctrl-C ends the conversation.")
            lines = _Lines(context, watching.observe)
            await _session(context, loaded.stages, microphone, speaker, lines).run()


async def _converse_with_recording(
    context: CliContext, stages: Stages, recording: Samples, output_file: Path | None
) -> None:
    audio = context.settings.audio
    microphone = VirtualMicrophone(block_ms=audio.block_ms)
    speaker = VirtualSpeaker(
        stages.tts.sample_rate_hz,
        block_ms=audio.block_ms,
        output_latency_ms=audio.output_latency_ms,
    )
    lines = _Lines(context)
    session = _session(context, stages, microphone, speaker, lines)
    starts_s = microphone.play(recording)
    loop = asyncio.get_running_loop()
    listen_until_s = starts_s + len(recording) / INPUT_SAMPLE_RATE_HZ + _LISTEN_ON_S
    running = asyncio.create_task(session.run())
    try:
        await asyncio.wait({running}, timeout=listen_until_s - loop.time())
        while not running.done() and not session.is_idle:
            await asyncio.wait({running}, timeout=_POLL_S)
    except asyncio.CancelledError:
        running.cancel()
        raise
    finally:
        microphone.close()
        await asyncio.gather(running, return_exceptions=True)
        if output_file is not None:
            samples = _from_recording_start(speaker.take_played(), starts_s, speaker.sample_rate_hz)
            write_wav(output_file, samples, speaker.sample_rate_hz)
            context.console.print(f"Wrote {output_file}", soft_wrap=True)
    running.result()
    if not lines.turns_shown:
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


def _session(
    context: CliContext, stages: Stages, source: AudioSource, sink: AudioSink, lines: _Lines
) -> Session:
    return Session(
        source,
        sink,
        stages,
        history=new_history(context.settings),
        rules=session_rules(context.settings),
        notify=lines.show,
    )


class _Lines:
    """Shows a conversation as plain lines.

    Args:
        context: where to print.
        watch: takes every fact as well.
    """

    def __init__(
        self, context: CliContext, watch: Callable[[Event], None] = lambda _: None
    ) -> None:
        self._watch = watch
        self._out = context.console
        self._notes = context.error_console
        self.turns_shown = 0

    def show(self, event: Event) -> None:
        """Print what the user would want to know of ``event``."""
        self._watch(event)
        match event:
            case TurnCommitted():
                if self._notes.is_terminal:
                    self._notes.print("…", end="\r")
            case BargedIn():
                self._notes.print("(interrupted)")
            case StageFailed(error=error):
                self._notes.print(f"voicebot: {error}", markup=False, soft_wrap=True)
            case TurnClosed() if event.transcript:
                self._show_turn(event)
            case ClauseSpoken() | _:
                pass

    def _show_turn(self, turn: TurnClosed) -> None:
        self.turns_shown += 1
        self._out.print(f"You: {turn.transcript}", markup=False, soft_wrap=True)
        if turn.heard:
            self._out.print(f"Bot: {turn.heard}", markup=False, soft_wrap=True)
        marks = turn.timeline.marks
        if turn.speech_end_s is None or Mark.LEFT_SINK not in marks:
            return
        parts = break_down(turn.timeline, end_s=turn.speech_end_s, audible_s=marks[Mark.LEFT_SINK])
        if parts is not None:
            self._notes.print(
                f"     {parts.total_ms:.0f} ms from your estimated end to the first sample: "
                f"endpoint {parts.endpoint:.0f}, recognition {parts.asr:.0f}, language model "
                f"{parts.llm:.0f}, synthesis {parts.tts:.0f}, output {parts.output:.0f}",
                soft_wrap=True,
            )
