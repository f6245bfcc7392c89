"""The kiosk as the message bus steers it: commands that return when they are done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicebot.errors import VoicebotError
from voicebot.events import Outcome
from voicebot.mqtt.controls import ControlsState

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.events import TurnClosed
    from voicebot.kiosk.compose import KioskControls

__all__ = ["RemoteControls"]

_SPOKEN = {Outcome.ANSWERED, Outcome.REPEATED}


class RemoteControls:
    """Carries out the bus's commands with the kiosk's own operations.

    Args:
        kiosk: what is steered.
        profile: the engines and models at work.

    Attributes:
        changed: takes how the kiosk is set, whenever a command changed it.
    """

    def __init__(self, kiosk: KioskControls, profile: str) -> None:
        self._kiosk = kiosk
        self._profile = profile
        self.changed: Callable[[ControlsState], None] = lambda _: None

    @property
    def state(self) -> ControlsState:
        """How the kiosk is set at present."""
        kiosk = self._kiosk
        return ControlsState(kiosk.is_muted, kiosk.volume_percent, self._profile)

    async def say(self, text: str) -> None:
        """Speak ``text`` as it stands.

        Raises:
            VoicebotError: no conversation is going on, or it was cut off.
        """
        _require_spoken(await self._over(self._kiosk.say(text)))

    async def ask(self, text: str) -> str:
        """Answer ``text`` as a visitor's words, aloud; give the answer.

        Raises:
            VoicebotError: no conversation is going on, or there was no answer.
        """
        closed = await self._over(self._kiosk.ask(text))
        _require_spoken(closed)
        return closed.reply

    async def set_muted(self, *, muted: bool) -> None:
        """Listen to nobody, or listen again."""
        self._kiosk.set_muted(muted=muted)
        self.changed(self.state)

    async def set_volume(self, percent: int) -> None:
        """How loud the pages play."""
        self._kiosk.set_volume(percent)
        self.changed(self.state)

    async def reset(self) -> None:
        """End the conversation and forget it."""
        self._kiosk.end_visit()

    async def set_profile(self, profile: str) -> None:
        """Refused: models are prepared before the kiosk begins.

        Raises:
            VoicebotError: it is another than that at work.
        """
        if profile != self._profile:
            raise VoicebotError(
                "the profile of a running kiosk cannot be changed",
                "set profile in its settings and start it again",
            )

    async def restart(self) -> None:
        """Load the models anew."""
        self._kiosk.restart()

    @staticmethod
    async def _over(closing: asyncio.Future[TurnClosed]) -> TurnClosed:
        # Waited for, not awaited: a conversation that ends cancels it, and that is not our own.
        await asyncio.wait({closing})
        if closing.cancelled():
            raise VoicebotError("the conversation ended before it was said")
        return closing.result()


def _require_spoken(closed: TurnClosed) -> None:
    if closed.outcome not in _SPOKEN:
        raise VoicebotError(
            closed.failure or f"it was not said: the turn was {closed.outcome.value}"
        )
