"""What takes part in a kiosk besides the page: the one place where other parts are joined to it.

A part may wrap the stages (what the bot knows, what it must not say), watch the conversation's
facts (a message bus, a counter) and steer the kiosk (``KioskControls``). It is entered in
``kiosk_parts`` and lives as long as the kiosk.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.config import Settings
    from voicebot.events import Event
    from voicebot.stages import Stages

__all__ = ["KioskControls", "KioskParts", "kiosk_parts"]


class KioskControls(Protocol):
    """What a part may ask of the kiosk, on the loop."""

    def begin_visit(self) -> None:
        """Listen to whoever is there."""
        ...

    def end_visit(self) -> None:
        """End the conversation and forget it."""
        ...

    def set_language(self, code: str) -> None:
        """Hold the next conversation in that language; ignored if it is not offered."""
        ...

    def set_volume(self, percent: int) -> None:
        """How loud the pages play, 0 to 100."""
        ...

    def restart(self) -> None:
        """Load the models anew."""
        ...


@dataclass(frozen=True, slots=True)
class KioskParts:
    """What was joined.

    Attributes:
        wrap_stages: makes of the loaded stages those that converse.
        observers: take every fact of a conversation, on the loop; must not block or raise.
    """

    wrap_stages: Callable[[Stages], Stages]
    observers: tuple[Callable[[Event], None], ...] = ()


@asynccontextmanager
async def kiosk_parts(settings: Settings, controls: KioskControls) -> AsyncIterator[KioskParts]:
    """All parts that the settings switch on, until the context is left."""
    del settings, controls  # the page alone needs neither
    yield KioskParts(wrap_stages=lambda stages: stages)
