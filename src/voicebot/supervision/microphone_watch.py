"""Notices a microphone that is dead: no blocks, or digital silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import DeviceError
from voicebot.supervision.facts import MicrophoneDied, MicrophoneRevived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.sources import AudioSource
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["WatchedSource"]

_LOOK_EVERY_S = 0.5


class WatchedSource:
    """An ``AudioSource`` that passes another's blocks on and watches them.

    A microphone that works never delivers the same value for long: there is always some noise. One
    that is muted at its switch, or unplugged behind a sound server, delivers digital silence.

    Args:
        source: the microphone.
        dead_after_s: so long without a change of the signal.
        notify: takes facts, on the loop.
        is_meant_to_be_silent: whether it was shut off on purpose; then nothing is told.
    """

    def __init__(
        self,
        source: AudioSource,
        *,
        dead_after_s: float,
        notify: Callable[[SupervisionFact], None],
        is_meant_to_be_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source = source
        self._dead_after_s = dead_after_s
        self._notify = notify
        self._is_meant_to_be_silent = is_meant_to_be_silent
        self._lively_s = 0.0
        self._block_s = float("-inf")
        self._is_dead = False

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The source's blocks.

        Raises:
            DeviceError: as the source does; a dead microphone is told of first.
        """
        loop = asyncio.get_running_loop()
        self._lively_s = loop.time()
        looking = asyncio.create_task(self._look())
        try:
            async for block in self._source.blocks():
                self._take(block, loop.time())
                yield block
        except DeviceError:
            if not self._is_dead:
                self._die(loop.time())
            raise
        finally:
            looking.cancel()

    def _take(self, block: AudioBlock, now_s: float) -> None:
        self._block_s = now_s
        if len(block.samples) and np.ptp(block.samples) > 0.0:
            self._lively_s = now_s
            if self._is_dead:
                self._is_dead = False
                self._notify(MicrophoneRevived())

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now_s = loop.time()
            if self._is_meant_to_be_silent():
                self._lively_s = now_s
            elif not self._is_dead and now_s - self._lively_s >= self._dead_after_s:
                self._die(now_s)

    def _die(self, now_s: float) -> None:
        self._is_dead = True
        has_blocks = now_s - self._block_s < 2.0 * _LOOK_EVERY_S
        self._notify(MicrophoneDied(now_s - self._lively_s, has_blocks))
