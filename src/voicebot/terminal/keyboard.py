"""Reads keys one by one, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from voicebot.terminal.keys import KeyDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.terminal.keys import Press

__all__ = ["Keyboard", "LineReader", "is_keyboard_ours"]

_ESCAPE_WAIT_S = 0.05
_READ_BYTES = 1024
_POLL_S = 0.02
_DISABLED = b"\0"
_STDOUT = 1
_MARK_PASTES = b"\x1b[?2004h"
_MARK_PASTES_NO_MORE = b"\x1b[?2004l"
"""What is pasted must not act as keys: the terminal says where it begins and ends."""


def is_keyboard_ours() -> bool:
    """Whether standard input is a terminal, and this program stands in its foreground.

    To read from it in the background would stop the program.
    """
    try:
        if not sys.stdin.isatty():
            return False
        if sys.platform == "win32":
            return True
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no standard input, or a closed one
        return False


class Keyboard:
    """Keys as they are pressed, unseen; use as a context manager on a running event loop.

    Args:
        on_keys: called on the loop with the keys that came at once.
    """

    def __init__(self, on_keys: Callable[[list[Press]], None]) -> None:
        self._on_keys = on_keys
        self._decoder = KeyDecoder()
        self._restore: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if sys.platform == "win32":
            self._restore = _poll_console(self._loop, self._take)
        else:
            self._restore = self._take_over_terminal()
        # Also where the interpreter ends without unwinding the stack.
        atexit.register(self._restore)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()
        atexit.unregister(self._restore)

    def _take_over_terminal(self) -> Callable[[], None]:
        import termios  # noqa: PLC0415  # POSIX only
        import tty  # noqa: PLC0415  # POSIX only

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        tty.setcbreak(fd)  # Ctrl-C stays a signal
        # Ctrl-Z does not: a conversation cannot stand still, nor does a shell want such a terminal.
        ours = termios.tcgetattr(fd)
        ours[6][termios.VSUSP] = _DISABLED
        termios.tcsetattr(fd, termios.TCSADRAIN, ours)
        _write(fd, _MARK_PASTES)
        self._loop.add_reader(fd, self._read, fd)

        def restore() -> None:
            _write(fd, _MARK_PASTES_NO_MORE)
            with contextlib.suppress(RuntimeError):  # the loop has closed
                self._loop.remove_reader(fd)
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(fd, termios.TCSADRAIN, before)

        return restore

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:  # the terminal has hung up
            self._loop.remove_reader(fd)

    def _take(self, data: bytes) -> None:
        self._tell(self._decoder.feed(data))
        if self._decoder.is_waiting:
            self._loop.call_later(_ESCAPE_WAIT_S, lambda: self._tell(self._decoder.flush()))

    def _tell(self, keys: list[Press]) -> None:
        if keys:
            self._on_keys(keys)


class LineReader:
    """Whole lines from a terminal that edits them itself; use as a context manager.

    Args:
        on_line: called on the loop with each line, without its end.
        on_end: called once at the end of input (Ctrl-D).
    """

    def __init__(self, on_line: Callable[[str], None], on_end: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._pending = b""

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._fd = sys.stdin.fileno()
        if sys.platform == "win32":
            threading.Thread(target=self._follow, daemon=True).start()
        else:
            self._loop.add_reader(self._fd, self._read)
        return self

    def __exit__(self, *exception: object) -> None:
        if sys.platform != "win32":
            self._loop.remove_reader(self._fd)

    def _follow(self) -> None:
        while data := os.read(self._fd, _READ_BYTES):
            with contextlib.suppress(RuntimeError):  # the loop has closed
                self._loop.call_soon_threadsafe(self._take, data)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_end)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._loop.remove_reader(self._fd)
            self._on_end()

    def _take(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", errors="replace").rstrip("\r"))


def _write(fd: int, data: bytes) -> None:
    """Tell the terminal; one that is read only is told through standard output."""
    for each in (fd, _STDOUT):
        with contextlib.suppress(OSError):  # read only, or gone
            if os.isatty(each):
                os.write(each, data)
                return


def _poll_console(
    loop: asyncio.AbstractEventLoop, take: Callable[[bytes], None]
) -> Callable[[], None]:
    """Windows: a thread asks the console; gives what ends it."""
    stopped = threading.Event()

    def follow() -> None:
        import msvcrt  # noqa: PLC0415  # Windows only

        while not stopped.is_set():
            characters = ""
            while msvcrt.kbhit():  # type: ignore[attr-defined,unused-ignore]
                character = msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]
                if character in "\x00\xe0":  # an arrow or the like: the next one says which
                    msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]
                else:
                    characters += character
            if characters:  # together: what came at once may be a paste
                with contextlib.suppress(RuntimeError):  # the loop has closed
                    loop.call_soon_threadsafe(take, characters.encode("utf-8", errors="replace"))
            time.sleep(_POLL_S)

    threading.Thread(target=follow, name="voicebot-keys", daemon=True).start()
    return stopped.set
