"""The live view on a real terminal: draws the state, takes the keys."""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.console import Group
from rich.live import Live

from voicebot.terminal.keyboard import Keyboard, is_keyboard_ours
from voicebot.terminal.keys import Key, LineEditor, Paste, is_burst
from voicebot.terminal.render import ASCII, UNICODE, render
from voicebot.terminal.stderr_lines import StderrLines
from voicebot.terminal.view_state import (
    SILENT_DBFS,
    HelpToggled,
    LineEdited,
    MicrophoneSet,
    Noticed,
    Tick,
    ViewFact,
    ViewState,
    reduce,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from voicebot.audio.blocks import AudioBlock
    from voicebot.session import Session
    from voicebot.terminal.controls import Controls
    from voicebot.terminal.keys import Press

__all__ = ["LiveView"]

_FRAME_S = 0.08
_LEVEL_FALLS_DB = 4.0
"""A frame; a meter that fell at once could not be read."""


class LiveView:
    """Shows a conversation while it goes on; use as a context manager on a running event loop.

    Args:
        console: the terminal.
        title: for the header.
        is_push_to_talk: see ``ViewState``.
        is_asleep: asked whether a wake word is waited for.
    """

    def __init__(
        self,
        console: Console,
        *,
        title: str,
        is_push_to_talk: bool,
        is_asleep: Callable[[], bool],
    ) -> None:
        self._console = console
        self._state = ViewState(title=title, is_push_to_talk=is_push_to_talk)
        self._is_asleep = is_asleep
        self._glyphs = UNICODE if console.encoding.lower().startswith("utf") else ASCII
        self._level_dbfs = SILENT_DBFS
        self._editor = LineEditor()
        self._has_quit = False
        self._controls: Controls | None = None
        self._session: Session | None = None
        self._exits = ExitStack()
        self._live = Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=True,
            redirect_stderr=False,
        )

    @property
    def state(self) -> ViewState:
        """What is shown."""
        return self._state

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def on_line(line: str) -> None:
            loop.call_soon_threadsafe(self.show, Noticed(line, is_of_library=True))

        with ExitStack() as entered:
            entered.enter_context(StderrLines(on_line))
            if is_keyboard_ours():
                entered.enter_context(Keyboard(self._take_keys))
            entered.enter_context(self._live)
            self._exits = entered.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()

    def attach(self, session: Session, controls: Controls) -> None:
        """What the keys act on, and what tells how far a reply was heard."""
        self._session, self._controls = session, controls

    def show(self, fact: ViewFact) -> None:
        """Take the next fact; it is drawn with the next frame."""
        self._state = reduce(self._state, fact)

    def tell(self, line: str) -> None:
        """Show a line to the user."""
        self.show(Noticed(line))

    def observe_block(self, block: AudioBlock) -> None:
        """Take the next block of the user's audio, for the meter."""
        power = float(np.mean(np.square(block.samples))) if len(block.samples) else 0.0
        level_dbfs = 10.0 * math.log10(power) if power > 0.0 else SILENT_DBFS
        self._level_dbfs = max(self._level_dbfs, level_dbfs)

    async def run(self) -> None:
        """Draw until cancelled."""
        drawn: tuple[ViewState, int, int] | None = None
        while True:
            self._tick()
            width, height = self._console.size
            if drawn != (self._state, width, height):
                drawn = (self._state, width, height)
                self._live.update(
                    Group(*render(self._state, width, height, self._glyphs)), refresh=True
                )
            await asyncio.sleep(_FRAME_S)

    def _tick(self) -> None:
        if self._session is None or self._controls is None:
            return
        now_s = asyncio.get_running_loop().time()
        self._controls.tick(now_s)
        turn, heard = self._session.heard_so_far()
        # Whole decibels: the hum of a quiet room is no reason to draw.
        level_dbfs = float(round(self._level_dbfs))
        self.show(Tick(level_dbfs, turn, heard, self._is_asleep(), now_s))
        self._level_dbfs = max(SILENT_DBFS, self._level_dbfs - _LEVEL_FALLS_DB)
        microphone = MicrophoneSet(self._controls.is_muted, self._controls.is_shut)
        if microphone != MicrophoneSet(self._state.is_muted, self._state.is_shut):
            self.show(microphone)

    def _take_keys(self, keys: list[Press]) -> None:
        """Take keys that came at once."""
        if is_burst(keys):
            sends = self._editor.line is not None and keys[-1] is Key.ENTER
            text = "".join(key if isinstance(key, str) else " " for key in keys)
            keys = [Paste(text.rstrip(" ") if sends else text), *([Key.ENTER] if sends else [])]
        for key in keys:
            self._press(key)

    def _press(self, key: Press) -> None:
        if self._controls is None or self._has_quit:
            return
        if isinstance(key, Paste) and self._editor.line is None:
            self._begin_line()
        if self._editor.line is not None:
            line = self._editor.press(key)
            self.show(LineEdited(self._editor.line))
            if line is not None:
                self._controls.answer(line)
            return
        self._command(self._controls, key)

    def _begin_line(self) -> None:
        if self._state.shows_help:
            self.show(HelpToggled())
        self._editor.begin()
        self.show(LineEdited(self._editor.line))

    def _command(self, controls: Controls, key: Press) -> None:
        if self._state.shows_help or key == "?":
            self.show(HelpToggled())
            if key in ("?", Key.ESCAPE):
                return
        match key:
            case " ":
                controls.press_talk(asyncio.get_running_loop().time())
            case "m" | "M":
                controls.toggle_mute()
            case "r" | "R":
                controls.repeat()
            case "s" | "S" | Key.ESCAPE:
                controls.stop()
            case "t" | "T" | Key.ENTER:
                self._begin_line()
            case "w" | "W":
                controls.save()
            case "q" | "Q" | Key.END:
                self._has_quit = True
                controls.quit()
