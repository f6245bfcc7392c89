"""One conversation of ``voicebot chat``: what holds it, shows it, steers it and keeps it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from voicebot.bench.meta import run_meta, source_commit
from voicebot.bench.models_used import models_used
from voicebot.bench.record import AudioPath
from voicebot.cli.stop_signals import stopped_by_signals
from voicebot.conversation_rules import new_history, session_rules
from voicebot.events import StageFailed, StageFellBack, StageRecovered, TurnClosed
from voicebot.input_gate import InputGate
from voicebot.keeping.recorder import Recorder
from voicebot.keeping.transcript_keeper import TranscriptKeeper
from voicebot.session import Session
from voicebot.telemetry.observers import telemetry
from voicebot.terminal.controls import Controls
from voicebot.terminal.keyboard import is_keyboard_ours
from voicebot.terminal.live_view import LiveView
from voicebot.terminal.plain_lines import PLAIN_HELP, PlainLines, line_commands
from voicebot.wake_word import WakeRule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.bench.record import RunMeta, Summary
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import Listening, PreparedModels
    from voicebot.errors import VoicebotError
    from voicebot.events import Event
    from voicebot.wake_word import WordSpotter

__all__ = ["ChatConversation", "Keeping"]

_SEEN_PRINTED_AFTERWARDS = 500
_TERMINATED = 128 + 15


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept of the conversation; None for what is not."""

    transcript_file: Path | None = None
    record_folder: Path | None = None


class ChatConversation:
    """Holds one conversation on whatever terminal there is.

    Args:
        context: the settings, and where to print.
        prepared: the models that take part, for the recording's record.
        loaded: the stages.
        keeping: what is kept.
        spotter: hears the wake word; None listens always.
    """

    def __init__(
        self,
        context: CliContext,
        prepared: PreparedModels,
        loaded: Listening,
        keeping: Keeping,
        spotter: WordSpotter | None,
    ) -> None:
        self._context = context
        self._prepared = prepared
        self._loaded = loaded
        self._keeping = keeping
        self._spotter = spotter
        self._lines = PlainLines(context.console, context.error_console)
        self._view: LiveView | None = None
        self._seen: deque[Event | str] = deque(maxlen=_SEEN_PRINTED_AFTERWARDS)
        self._observers: list[Callable[[Event], None]] = []
        self._session: Session | None = None
        self._started_at = datetime.now(UTC).astimezone()
        self._quitting = asyncio.Event()
        self.exit_code = 0
        """What the process is to end with."""

    @property
    def is_idle(self) -> bool:
        """Whether neither side has anything under way."""
        return self._session is None or self._session.is_idle

    @property
    def turns_shown(self) -> int:
        """How many turns were shown, as lines at the end if not before."""
        return self._lines.turns_shown

    def tell(self, line: str) -> None:
        """Show a line that belongs to no turn, wherever the conversation is shown."""
        if self._view is None:
            self._lines.tell(line)
        else:
            self._view.tell(line)
            self._seen.append(line)

    async def hold(
        self,
        source: AudioSource,
        sink: AudioSink,
        *,
        names: Callable[[], tuple[str, str]],
        output_latency_ms: float | None = None,
        greeting: str = "",
    ) -> None:
        """Converse until the source ends, or the user quits.

        Args:
            source: the user's audio.
            sink: the bot's.
            names: gives those of both at the end, for the recording's record.
            output_latency_ms: of the sink; None takes the median of what was measured.
            greeting: a line that opens the conversation where no view does.

        Raises:
            EngineError: voice activity failed for good.
            DeviceError: the source's or sink's device failed.
        """
        async with AsyncExitStack() as held:
            recorder = self._recorder(sink)
            if recorder is not None:
                sink = recorder.sink
                held.push_async_callback(
                    recorder.close, lambda summary: self._meta(names(), output_latency_ms, summary)
                )
            transcript = TranscriptKeeper(self._keeping.transcript_file, on_failure=self._tell_of)
            self._observers.append(transcript.observe)
            names_of_models = self._prepared.profile.model_names
            watching = telemetry(self._context.settings.telemetry, names_of_models)
            self._observers.append(held.enter_context(watching).observe)
            wake = self._wake_rule()
            gate = InputGate(source, wake=wake)
            rules = session_rules(self._context.settings)
            session = self._session = Session(
                gate,
                sink,
                self._loaded.stages,
                history=new_history(self._context.settings),
                rules=rules,
                notify=self._notify,
            )
            controls = Controls(
                session,
                gate,
                transcript,
                barge_in_mode=rules.interruption.mode,
                is_push_to_talk=self._context.settings.chat.push_to_talk,
                tell=self.tell,
                quit_chat=self._quitting.set,
            )
            if recorder is not None:
                gate.add_listener(recorder.observe_block)
            with ExitStack() as shown:
                shown.callback(self._print_what_was_seen)
                self._show(shown, session, gate, controls, wake)
                if self._view is None and greeting:
                    self.tell(greeting)
                with stopped_by_signals(self._terminate):
                    await self._run(session)

    async def _run(self, session: Session) -> None:
        running = asyncio.create_task(session.run())
        helpers = [asyncio.create_task(self._until_quit())]
        if self._view is not None:
            helpers.append(asyncio.create_task(self._view.run()))
        try:
            await asyncio.wait({running, *helpers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, *helpers):
                task.cancel()
            results = await asyncio.gather(running, *helpers, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _until_quit(self) -> None:
        await self._quitting.wait()

    def _show(
        self,
        shown: ExitStack,
        session: Session,
        gate: InputGate,
        controls: Controls,
        wake: WakeRule | None,
    ) -> None:
        """Begin to show the conversation, and to take keys or lines."""
        settings = self._context.settings
        console = self._context.console
        if not settings.chat.plain and console.is_terminal and not console.is_dumb_terminal:
            view = LiveView(
                console,
                title=self._prepared.profile.name,
                is_push_to_talk=settings.chat.push_to_talk,
                is_asleep=lambda: wake is not None and not wake.is_awake,
            )
            view.attach(session, controls)
            gate.add_listener(view.observe_block)
            shown.enter_context(view)
            # Left first: what is told while the terminal is given back belongs to the lines.
            shown.callback(lambda: setattr(self, "_view", None))
            self._view = view
            return
        if is_keyboard_ours():
            self.tell(PLAIN_HELP)
            shown.enter_context(line_commands(controls, self._lines))

    def _print_what_was_seen(self) -> None:
        """A view leaves nothing behind; the lines do."""
        for each in self._seen:
            if isinstance(each, str):
                self._lines.tell(each)
            else:
                self._lines.show(each)
        self._seen.clear()

    def _notify(self, event: Event) -> None:
        for observe in self._observers:
            observe(event)
        if self._view is None:
            self._lines.show(event)
            return
        self._view.show(event)
        if isinstance(event, TurnClosed | StageFailed | StageFellBack | StageRecovered):
            self._seen.append(event)

    def _tell_of(self, error: VoicebotError) -> None:
        self.tell(f"voicebot: {error}")

    def _terminate(self) -> None:
        self.exit_code = _TERMINATED
        self._quitting.set()

    def _wake_rule(self) -> WakeRule | None:
        if self._spotter is None:
            return None
        return WakeRule(
            self._spotter,
            listen_s=self._context.settings.chat.wake_listen_s,
            is_idle=lambda: self.is_idle,
        )

    def _recorder(self, sink: AudioSink) -> Recorder | None:
        folder = self._keeping.record_folder
        if folder is None:
            return None
        recorder = Recorder(folder, sink, on_failure=self._tell_of)
        self._observers.append(recorder.observe)
        return recorder

    def _meta(
        self, names: tuple[str, str], output_latency_ms: float | None, summary: Summary
    ) -> RunMeta:
        settings = self._context.settings
        store, profile = self._prepared.store, self._prepared.profile
        if output_latency_ms is None:
            output_latency_ms = summary.breakdown_ms["output"].p50 or 0.0
        return run_meta(
            profile=profile.name,
            config=settings.model_dump(mode="json"),
            models=models_used(profile, settings, store, self._loaded.stages.runs_as),
            audio=AudioPath(*names, settings.audio.block_ms, output_latency_ms),
            started_at=self._started_at,
            startup_s=self._loaded.startup_s,
            commit=source_commit(),
            loop_stall_p95_ms=None,
            true_ends="estimated",
        )
