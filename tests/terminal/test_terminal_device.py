"""Keys, lines and standard error on a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.terminal.keyboard import Keyboard, LineReader, is_keyboard_ours
from voicebot.terminal.stderr_lines import StderrLines

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A pseudo-terminal whose far side is standard input; its two descriptors."""
    import pty  # noqa: PLC0415  # POSIX only

    near, far = pty.openpty()
    with os.fdopen(os.dup(far), encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield near, far
    os.close(near)
    os.close(far)


def is_cooked(far: int) -> bool:
    import termios  # noqa: PLC0415  # POSIX only

    flags = termios.tcgetattr(far)[3]
    return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)


def shown(near: int, count: int) -> bytes:
    """So many bytes of what the terminal is told."""
    seen = b""
    while len(seen) < count:
        seen += os.read(near, count - len(seen))
    return seen


async def until(count: int, seen: list[Any]) -> None:
    async with asyncio.timeout(5):
        while len(seen) < count:  # noqa: ASYNC110  # filled by callbacks
            await asyncio.sleep(0.01)


def test_keys_are_read_unseen_and_the_terminal_is_restored(terminal: tuple[int, int]) -> None:
    near, far = terminal
    keys: list[Any] = []

    async def press() -> None:
        with Keyboard(keys.extend):
            assert not is_cooked(far)
            assert shown(near, 8) == b"\x1b[?2004h", "pastes are to be marked"
            os.write(near, b"m\x1b")
            await until(2, keys)

    asyncio.run(press())
    assert shown(near, 8) == b"\x1b[?2004l"
    assert [str(getattr(key, "value", key)) for key in keys] == ["m", "escape"]
    assert is_cooked(far)


def test_the_terminal_is_restored_after_an_error(terminal: tuple[int, int]) -> None:
    near, far = terminal

    async def fail() -> None:
        with Keyboard(lambda _: None):
            raise RuntimeError("anything")

    with pytest.raises(RuntimeError, match="anything"):
        asyncio.run(fail())
    assert is_cooked(far)
    assert shown(near, 16) == b"\x1b[?2004h\x1b[?2004l"


def test_lines_are_read_until_their_end(terminal: tuple[int, int]) -> None:
    near, _ = terminal
    lines: list[str] = []
    ended: list[bool] = []

    async def read() -> None:
        with LineReader(lines.append, lambda: ended.append(True)):
            os.write(near, "hello thère\n/mute\n".encode())
            await until(2, lines)
            os.write(near, b"\x04")
            await until(1, ended)

    asyncio.run(read())
    assert lines == ["hello thère", "/mute"]


def test_a_keyboard_in_the_background_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "fileno", lambda: 0, raising=False)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    assert not is_keyboard_ours()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    assert is_keyboard_ours()


def test_what_c_writes_to_standard_error_is_caught() -> None:
    """In a child, since standard error is the process's own."""
    import pty  # noqa: PLC0415  # POSIX only
    import subprocess  # noqa: PLC0415  # only here

    code = (
        "import os, sys\n"
        "from voicebot.terminal.stderr_lines import StderrLines\n"
        "lines = []\n"
        "with StderrLines(lines.append):\n"
        "    os.write(2, b'from C\\nhalf')\n"
        "    print('from python', file=sys.stderr)\n"
        "print('after', file=sys.stderr)\n"
        "print(lines)\n"
    )
    near, far = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=far, check=True, timeout=30
    )
    os.close(far)
    shown = os.read(near, 1000)
    os.close(near)
    assert done.stdout.decode().strip() == "['from C', 'halffrom python']"
    assert shown.strip() == b"after"


def test_standard_error_in_a_file_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with StderrLines(lines.append):
        os.write(2, b"kept\n")
    assert capfd.readouterr().err == "kept\n"
    assert not lines
