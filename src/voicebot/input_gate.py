"""A source that can be shut: muted, between two presses of a key, or until a word is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.blocks import AudioBlock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.audio.sources import AudioSource

__all__ = ["InputGate"]


class InputGate:
    """Passes a source's blocks on, as silence while it is shut.

    Args:
        source: what it stands in front of.
        wake: told every block as the microphone gave it, says whether the user is to be listened
            to; None listens always.
    """

    def __init__(
        self, source: AudioSource, *, wake: Callable[[AudioBlock], bool] | None = None
    ) -> None:
        self._source = source
        self._wake = wake
        self._listeners: list[Callable[[AudioBlock], None]] = []
        self.is_open = True
        """Whether the user is heard, as far as keys decide."""

    def add_listener(self, listener: Callable[[AudioBlock], None]) -> None:
        """Let ``listener`` have every block that passes, on the loop; it must not block."""
        self._listeners.append(listener)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks as they become available; may be iterated once."""
        async for block in self._source.blocks():
            is_awake = self._wake is None or self._wake(block)
            passed = block
            if not (self.is_open and is_awake):
                passed = AudioBlock(np.zeros_like(block.samples), block.start_s)
            for listener in self._listeners:
                listener(passed)
            yield passed
