"""A microphone that can be shut off without losing its clock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.sources import AudioSource

__all__ = ["MutableSource"]


class MutableSource:
    """An ``AudioSource`` that passes another's blocks on, as silence while it is muted.

    Args:
        source: the microphone.
        is_muted: asked for every block.
    """

    def __init__(self, source: AudioSource, is_muted: Callable[[], bool]) -> None:
        self._source = source
        self._is_muted = is_muted

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The source's blocks.

        Raises:
            DeviceError: as the source does.
        """
        async for block in self._source.blocks():
            if self._is_muted():
                yield replace(block, samples=np.zeros_like(block.samples))
            else:
                yield block
