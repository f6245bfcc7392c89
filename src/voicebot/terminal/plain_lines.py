"""A conversation as plain lines, for whatever is no terminal, and for who likes it so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicebot.events import (
    BargedIn,
    Outcome,
    StageFailed,
    StageFellBack,
    StageRecovered,
    TurnClosed,
    TurnCommitted,
)
from voicebot.latency import estimated_breakdown
from voicebot.terminal.keyboard import LineReader
from voicebot.terminal.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from voicebot.events import Event
    from voicebot.terminal.controls import Controls

__all__ = ["PLAIN_HELP", "PlainLines", "line_commands"]

PLAIN_HELP = (
    "Type a line to have it answered; /mute, /repeat, /stop, /talk (ends your turn now; with "
    "push-to-talk begins it, too), /save, /quit."
)


class PlainLines:
    """Prints what is said as it is over.

    Args:
        out: for what was said.
        notes: for all else.
    """

    def __init__(self, out: Console, notes: Console) -> None:
        self._out = out
        self._notes = notes
        self.turns_shown = 0

    def show(self, event: Event) -> None:
        """Print what the user would want to know of ``event``."""
        match event:
            case TurnCommitted():
                if self._notes.is_terminal:
                    self._notes.print("…", end="\r")
            case BargedIn():
                self._notes.print("(interrupted)")
            case StageFailed(error=error):
                self.tell(f"voicebot: {error}")
            case StageFellBack():
                self.tell(f"voicebot: {event.error}; {event.fallback} goes on")
            case StageRecovered(stage=stage):
                self.tell(f"voicebot: the {stage} stage works again")
            case TurnClosed(outcome=Outcome.MERGED):
                pass  # its words are the next turn's, too
            case TurnClosed() if event.transcript or event.outcome is Outcome.REPEATED:
                self._show_turn(event)
            case _:
                pass

    def tell(self, line: str) -> None:
        """Show a line to the user."""
        self._notes.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def _show_turn(self, turn: TurnClosed) -> None:
        self.turns_shown += 1
        if turn.transcript:
            self._out.print(f"You: {printable(turn.transcript)}", markup=False, soft_wrap=True)
        if turn.heard:
            self._out.print(f"Bot: {printable(turn.heard)}", markup=False, soft_wrap=True)
        parts = estimated_breakdown(turn)
        if parts is not None:
            since = "the Enter key" if turn.is_typed else "your estimated end"
            if turn.outcome is Outcome.REPEATED:
                since = "the key"
            self._notes.print(
                f"     {parts.total_ms:.0f} ms from {since} to the first sample: "
                f"endpoint {parts.endpoint:.0f}, recognition {parts.asr:.0f}, language model "
                f"{parts.llm:.0f}, synthesis {parts.tts:.0f}, output {parts.output:.0f}",
                soft_wrap=True,
            )


def line_commands(controls: Controls, lines: PlainLines) -> LineReader:
    """Reads lines from the terminal and does what they say; needs a running event loop."""
    loop = asyncio.get_running_loop()
    commands = {
        "/mute": controls.toggle_mute,
        "/repeat": controls.repeat,
        "/stop": controls.stop,
        "/save": controls.save,
        "/quit": controls.quit,
    }

    def on_line(line: str) -> None:
        word = line.strip()
        if word in commands:
            commands[word]()
            if word == "/mute":
                lines.tell("muted" if controls.is_muted else "not muted")
        elif word == "/talk":
            controls.toggle_talk(loop.time())
        elif word.startswith("/"):
            lines.tell(PLAIN_HELP)
        else:
            controls.answer(line)

    return LineReader(on_line, controls.quit)
