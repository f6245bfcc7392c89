"""``voicebot acoustic``: voice-to-voice at the sound card, of this program or any other."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

import click
import soundfile

from voicebot import __version__
from voicebot.acoustic.caller_run import CallerRun, RunRules, at_rate
from voicebot.acoustic.device_ports import device_ports
from voicebot.acoustic.own_recording import PlayedClip, own_figures_ms
from voicebot.acoustic.pulse_ports import pulse_ports
from voicebot.acoustic.pulse_server import private_server, running_server
from voicebot.acoustic.report import (
    TURN_COLUMNS,
    bias_in_words,
    markdown_report,
    milliseconds,
    summary_rows,
    turn_row,
)
from voicebot.acoustic.run_record import (
    AcousticRun,
    AcousticTurn,
    summarise,
    to_json,
    with_own_figure,
)
from voicebot.acoustic.self_test import (
    KNOWN_DELAY_MS,
    SelfTest,
    measure_known_answers,
    sound_test_callers,
)
from voicebot.acoustic.target import (
    loopback_command,
    parse_command,
    running_target,
    voicebot_chat,
)
from voicebot.acoustic.turn_records import TurnRecords
from voicebot.acoustic.virtual_room import (
    LOUDSPEAKER_SINK,
    MICROPHONE_SOURCE,
    PORTAUDIO_NAME,
    open_room,
)
from voicebot.audio.files import read_audio
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.files import write_text_atomically
from voicebot.bench.meta import describe_host
from voicebot.cli.context import takes_settings
from voicebot.errors import DeviceError, EngineError, OutputError
from voicebot.keeping.recorder import CONVERSATION_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from voicebot.acoustic.ports import RoomPorts
    from voicebot.acoustic.pulse_ports import PulsePorts
    from voicebot.acoustic.target import TargetProcess
    from voicebot.acoustic.virtual_room import VirtualRoom
    from voicebot.cli.context import CliContext

__all__ = ["acoustic_command"]

_TERMINATED = 143
_POLL_S = 0.25
_LISTENS_FOR_S = 1.0
_COMMAND_SETTLES_S = 10.0
_SELF_TEST_TURNS = 20
_RECORDING = "recording.wav"
_OWN_FOLDER = "assistant"
_STEREO = 2
_SHOWN_COLUMNS = ("turn", "acoustic", "software", "difference", "own recording", "device")


@dataclass(frozen=True, slots=True)
class _Options:
    """The command line, as given."""

    target: str
    command: str | None
    callers_dir: Path | None
    kind: str | None
    limit: int | None
    seed: int | None
    out_dir: Path
    keep_recording: bool
    server: str
    player: str | None
    recorder: str | None
    channels: int | None
    turn_log: Path | None
    own_recording: Path | None
    patience_s: float
    start_wait_s: float
    warm_up: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it is measured: a virtual room, or devices."""

    ports: RoomPorts
    room: VirtualRoom | None
    name: str

    @property
    def target_environment(self) -> Mapping[str, str]:
        return os.environ if self.room is None else self.room.target_environment


@click.command("acoustic")
@click.option(
    "--target",
    type=click.Choice(["voicebot", "other"]),
    default="voicebot",
    show_default=True,
    help="Measure `voicebot chat`, or another program that listens and speaks.",
)
@click.option(
    "--command",
    metavar="TEXT",
    help="With --target other: start it so, in the room; without it, it is running already.",
)
@click.option(
    "--callers",
    "callers_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of callers; without it, the recorded callers that come with voicebot.",
)
@click.option("--kind", metavar="KIND[,...]", help="Only callers of this kind, or of these.")
@click.option("--limit", type=int, metavar="N", help="At most N callers, sampled over the kinds.")
@click.option("--seed", type=int, metavar="N", help="Which sample.")
@click.option(
    "--out",
    "out_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where acoustic.json and report.md go; without it, a new folder in bench.out_dir.",
)
@click.option(
    "--keep-recording",
    is_flag=True,
    help="Store the whole recording, caller left and bot right, as recording.wav, and chat's own.",
)
@click.option(
    "--server",
    type=click.Choice(["private", "running"]),
    default=None,
    help="Make the virtual room in a sound server of its own, or in the one that is running; "
    "private unless the program is running already.",
)
@click.option(
    "--play",
    "player",
    metavar="DEVICE",
    help="No virtual room: play callers on this device, by name or number.",
)
@click.option(
    "--record",
    "recorder",
    metavar="DEVICE",
    help="With --play: record both sides with this device, caller left and bot right.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, 2),
    metavar="N",
    help="With --record: 1 if one microphone hears both; what the device has without it.",
)
@click.option(
    "--turn-log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --target other: its own figures, a JSON line a turn as telemetry.turn_log has it.",
)
@click.option(
    "--own-recording",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --target other: its own recording, user left and bot right, complete when it ends.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=1.0),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long an answer is waited for.",
)
@click.option(
    "--start-wait",
    "start_wait_s",
    type=click.FloatRange(min=1.0),
    default=120.0,
    show_default=True,
    metavar="S",
    help="How long the program may take until it listens.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Callers that are played first and not counted.",
)
@click.option(
    "--self-test",
    is_flag=True,
    help="Measure what the instrument gets wrong, with answers of which the truth is known.",
)
@takes_settings
def acoustic_command(
    context: CliContext,
    *,
    self_test: bool,
    server: str | None,
    out_dir: Path | None,
    **given: Any,
) -> None:
    """Measure voice-to-voice at the sound card.

    Callers speak through the real device path into the running assistant; both sides are recorded,
    and the true end and the first audible sample are found in the recording. On Linux this happens
    in a virtual room of PulseAudio, unless --play and --record name devices. Writes acoustic.json
    and report.md, and prints the acoustic figure beside the program's own, turn by turn.
    """
    if out_dir is None:
        out_dir = context.settings.bench.out_dir / f"acoustic-{datetime.now():%Y-%m-%d-%H%M%S}"  # noqa: DTZ005 - a name for the user's eye
    already_running = given["target"] == "other" and given["command"] is None
    options = _Options(
        server=server or ("running" if already_running else "private"), out_dir=out_dir, **given
    )
    _check(options)
    with _ended_by_signals():
        if self_test:
            _self_test(context, options)
        else:
            _measure(context, options)


def _check(options: _Options) -> None:
    if options.command is not None and options.target != "other":
        raise click.UsageError("--command goes with --target other")
    if options.turn_log is not None and options.target != "other":
        raise click.UsageError("--turn-log goes with --target other: chat's is known")
    if options.own_recording is not None and options.target != "other":
        raise click.UsageError("--own-recording goes with --target other: chat makes one")
    if (options.player is None) != (options.recorder is None):
        raise click.UsageError("--play and --record go together")
    if options.channels is not None and options.recorder is None:
        raise click.UsageError("--channels goes with --record")
    if options.player is None and sys.platform != "linux":
        raise click.UsageError(
            "the virtual room needs Linux: give --play and --record with a loopback cable"
        )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let what ends the process from outside clean up as Ctrl-C does."""

    def end(*_: object) -> NoReturn:
        raise SystemExit(_TERMINATED)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _measure(context: CliContext, options: _Options) -> None:
    seed = context.settings.bench.seed if options.seed is None else options.seed
    folder = options.callers_dir or recorded_callers_dir()
    callers = load_callers(folder, options.kind, options.limit, seed)
    _make_folder(options.out_dir)
    started_at = datetime.now().astimezone().isoformat(timespec="seconds")
    turns: list[AcousticTurn] = []
    partial = True
    place: _Place | None = None
    run: CallerRun | None = None
    with ExitStack() as kept:
        own = _own_recording(options, kept)
        try:
            with ExitStack() as opened:
                place = _open_place(options, opened)
                log, command = _target(context, options, place, own)
                check_target = _start(context, options, place, command, opened)
                run = CallerRun(
                    place.ports,
                    check_target=check_target,
                    records=None if log is None else TurnRecords(log),
                    rules=RunRules(patience_s=options.patience_s),
                )
                if warming := callers[: options.warm_up]:
                    run.play(warming, lambda turn: _say(context, turn, prefix="warm-up: "))

                def tell(turn: AcousticTurn) -> None:
                    turns.append(turn)
                    _say(context, turn)

                run.play(callers, tell)
            partial = False
        finally:
            if turns and place is not None and run is not None:
                # The assistant has ended by now: its own recording is complete.
                told = _with_own_figures(context, turns, run, own)
                _finish(context, options, _run(options, place, started_at, told, partial=partial))


def _own_recording(options: _Options, kept: ExitStack) -> Path | None:
    """Where the assistant's own recording comes to lie; None if it makes none."""
    if options.target == "other":
        return options.own_recording
    if options.keep_recording:
        return options.out_dir / _OWN_FOLDER / CONVERSATION_NAME
    folder = Path(kept.enter_context(TemporaryDirectory(prefix="voicebot-")))
    return folder / CONVERSATION_NAME


def _target(
    context: CliContext, options: _Options, place: _Place, own: Path | None
) -> tuple[Path | None, Sequence[str] | None]:
    """The log of the program's own figures, and the command that starts it."""
    if options.target == "other":
        command = None if options.command is None else parse_command(options.command)
        return options.turn_log, command
    log = options.out_dir / "turns.jsonl"
    log.unlink(missing_ok=True)
    command = voicebot_chat(_chat_settings(context, place, log))
    return log, command if own is None else [*command, "--record", str(own.parent.resolve())]


def _with_own_figures(
    context: CliContext, turns: Sequence[AcousticTurn], run: CallerRun, own: Path | None
) -> list[AcousticTurn]:
    """The turns with what the assistant's own recording says of them, if there is one."""
    if own is None:
        return list(turns)
    try:
        frames, rate_hz = soundfile.read(own, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        line = f"the assistant's own recording {own} cannot be read ({error})"
        context.error_console.print(line, markup=False, soft_wrap=True)
        return list(turns)
    if frames.shape[1] < _STEREO:
        context.error_console.print(
            f"{own} has one channel only: user left, bot right", markup=False
        )
        return list(turns)
    played = [
        PlayedClip(label, at_rate(read_audio(label.path).samples, rate_hz), starts_s)
        for label, starts_s in run.played
    ]
    figures = own_figures_ms(frames, rate_hz, played)[len(played) - len(turns) :]
    return [with_own_figure(turn, own_ms) for turn, own_ms in zip(turns, figures, strict=True)]


def _run(
    options: _Options,
    place: _Place,
    started_at: str,
    turns: Sequence[AcousticTurn],
    *,
    partial: bool,
) -> AcousticRun:
    other = options.command or "a running program"
    tape = place.ports.tape
    return AcousticRun(
        started_at=started_at,
        version=__version__,
        host=describe_host(),
        target="voicebot chat" if options.target == "voicebot" else other,
        room=place.name,
        sample_rate_hz=tape.sample_rate_hz,
        stereo=tape.channels > 1,
        partial=partial,
        turns=tuple(turns),
        summary=summarise(turns),
    )


def _open_place(options: _Options, opened: ExitStack) -> _Place:
    keep = options.out_dir / _RECORDING if options.keep_recording else None
    if options.player is not None and options.recorder is not None:
        devices = device_ports(
            player=options.player, recorder=options.recorder, channels=options.channels, keep=keep
        )
        return _Place(
            opened.enter_context(devices), None, f"{options.player} and {options.recorder}"
        )
    room = _open_virtual_room(options.server, opened)
    return _Place(opened.enter_context(pulse_ports(room, keep)), room, "a virtual room")


def _open_virtual_room(server: str, opened: ExitStack) -> VirtualRoom:
    make = private_server if server == "private" else running_server
    return opened.enter_context(open_room(opened.enter_context(make())))


def _chat_settings(context: CliContext, place: _Place, log: Path) -> list[str]:
    """What this command was given, for the child; the environment it inherits."""
    from voicebot.config import setting_specs  # noqa: PLC0415 (keeps --help free of pydantic)

    given = {}
    for key in setting_specs():
        if context.origins[key].startswith(("file", "flag")):
            value: Any = context.settings
            for part in key.split("."):
                value = getattr(value, part)
            given[key] = _as_text(value)
    if place.room is not None:
        given["audio.input"] = given["audio.output"] = PORTAUDIO_NAME
    given["telemetry.turn_log"] = str(log.resolve())
    return [f"{key}={value}" for key, value in given.items()]


def _as_text(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _start(
    context: CliContext,
    options: _Options,
    place: _Place,
    command: Sequence[str] | None,
    opened: ExitStack,
) -> Callable[[], None]:
    """Start the program if need be, and wait until it listens; gives what checks that it lives."""
    process: TargetProcess | None = None
    if command is not None:
        output = options.out_dir / "target.log"
        process = opened.enter_context(running_target(command, place.target_environment, output))
        context.error_console.print(f"Started the assistant; what it prints is in {output}.")
    elif place.room is not None:
        context.error_console.print(
            f"Point the program's microphone at {MICROPHONE_SOURCE} and its loudspeaker at "
            f"{LOUDSPEAKER_SINK} (pavucontrol does it for a program that runs)."
        )

    def check() -> None:
        if process is not None:
            process.check()

    context.error_console.print("Waiting until it listens …")
    began_s = time.monotonic()
    listens_since_s: float | None = None
    while True:
        check()
        place.ports.check()
        now_s = time.monotonic()
        if _listens(options, place, process, now_s - began_s):
            listens_since_s = now_s if listens_since_s is None else listens_since_s
            if now_s - listens_since_s >= _LISTENS_FOR_S:
                return check
        else:
            listens_since_s = None
        if now_s - began_s > options.start_wait_s:
            raise EngineError(
                f"no program has listened within {options.start_wait_s:g} s",
                "see what it printed, or wait longer with --start-wait",
            )
        time.sleep(_POLL_S)


def _listens(
    options: _Options, place: _Place, process: TargetProcess | None, waited_s: float
) -> bool:
    if place.room is not None:
        return place.room.is_listened_to()
    if process is None:
        return True
    if options.target == "voicebot":
        return process.says_it_listens()
    return waited_s >= _COMMAND_SETTLES_S


def _self_test(context: CliContext, options: _Options) -> None:
    if options.player is not None:
        raise click.UsageError("--self-test is of the virtual room")
    _make_folder(options.out_dir)
    turns: list[AcousticTurn] = []
    count = options.limit or _SELF_TEST_TURNS
    with ExitStack() as opened:
        room = _open_virtual_room(options.server, opened)
        ports: PulsePorts = opened.enter_context(pulse_ports(room))
        context.error_console.print("Known answers: caller and answer from one clock …")
        instrument = measure_known_answers(ports, count)
        log = options.out_dir / "turns.jsonl"
        log.unlink(missing_ok=True)
        place = _Place(ports, room, "a virtual room")
        command = loopback_command(PORTAUDIO_NAME, KNOWN_DELAY_MS, log)
        context.error_console.print("A program that answers after a known time …")
        check_target = _start(context, options, place, command, opened)
        run = CallerRun(
            ports, check_target=check_target, records=TurnRecords(log), rules=RunRules(quiet_s=0.5)
        )
        with TemporaryDirectory() as clips:
            run.play(sound_test_callers(Path(clips), count), turns.append)
    measured = [turn.voice_to_voice_ms for turn in turns if turn.voice_to_voice_ms is not None]
    if not instrument.turns or not measured:
        raise DeviceError("nothing was heard in the virtual room", "see what target.log says")
    summary = summarise(turns)
    result = SelfTest(instrument, summary.difference)
    show = context.console.print
    show(f"The instrument itself: {bias_in_words(result.instrument)}", soft_wrap=True)
    show(f"With the device path:  {bias_in_words(result.device_path)}", soft_wrap=True)
    show(f"  at the user's end:    {bias_in_words(summary.end_difference)}", soft_wrap=True)
    show(f"  at the reply's start: {bias_in_words(summary.start_difference)}", soft_wrap=True)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {path} cannot be made ({error.strerror or error})",
            "give another with --out",
        ) from error


def _say(context: CliContext, turn: AcousticTurn, prefix: str = "") -> None:
    """One line for a turn, as soon as it is measured."""
    figure = f"{milliseconds(turn.voice_to_voice_ms)} ms"
    if turn.software_ms is not None:
        figure += f", by its own account {milliseconds(turn.software_ms)}"
    notes = turn_row(turn)[-1]
    line = f"{prefix}{turn.caller}: {figure}{'; ' + notes if notes else ''}"
    context.error_console.print(line, markup=False, soft_wrap=True)


def _finish(context: CliContext, options: _Options, run: AcousticRun) -> None:
    """Store the run and show it."""
    write_text_atomically(options.out_dir / "acoustic.json", to_json(run))
    write_text_atomically(options.out_dir / "report.md", markdown_report(run))
    from rich.table import Table  # noqa: PLC0415 (start-up time)
    from rich.text import Text  # noqa: PLC0415 (names are no markup)

    table = Table(box=None, pad_edge=False)
    shown = [TURN_COLUMNS.index(name) for name in _SHOWN_COLUMNS]
    for name in _SHOWN_COLUMNS:
        table.add_column(name, justify="left" if name == "turn" else "right")
    for turn in run.turns:
        cells = turn_row(turn)
        table.add_row(*(Text(cells[index]) for index in shown))
    context.console.print(table)
    for name, figure in summary_rows(run):
        context.console.print(f"{name}: {figure}", markup=False, soft_wrap=True)
    context.console.print(f"Wrote {options.out_dir / 'acoustic.json'} and report.md", markup=False)
