"""What carries out commands: the kiosk, seen from the message bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicebot.mqtt.commands import Ask, Mute, Profile, Reset, Restart, Say, Volume

if TYPE_CHECKING:
    from voicebot.mqtt.commands import Command

__all__ = ["ControlsState", "KioskControls", "carry_out"]


@dataclass(frozen=True, slots=True)
class ControlsState:
    """How the kiosk is set at present.

    Attributes:
        muted: whether it listens to nobody.
        volume_percent: how loud it speaks, 0 to 100.
        profile: the engines and models at work.
    """

    muted: bool
    volume_percent: int
    profile: str


class KioskControls(Protocol):
    """A kiosk that can be steered.

    Each method returns when it is done. One that cannot be done raises a ``VoicebotError``, whose
    line goes to whoever asked.
    """

    async def say(self, text: str) -> None:
        """Speak ``text`` as it stands."""
        ...

    async def ask(self, text: str) -> str:
        """Answer ``text`` as a visitor's words, aloud; give the answer."""
        ...

    async def set_muted(self, *, muted: bool) -> None:
        """Listen to nobody, or listen again."""
        ...

    async def set_volume(self, percent: int) -> None:
        """Speak this loud, 0 to 100."""
        ...

    async def reset(self) -> None:
        """End the conversation and forget it."""
        ...

    async def set_profile(self, profile: str) -> None:
        """Use the engines and models of ``profile``."""
        ...

    async def restart(self) -> None:
        """Load everything anew."""
        ...


async def carry_out(command: Command, controls: KioskControls) -> str | None:
    """Let ``controls`` do what ``command`` says; give what ``ask`` was answered.

    Raises:
        VoicebotError: it cannot be done.
    """
    match command:
        case Say():
            await controls.say(command.text)
        case Ask():
            return await controls.ask(command.text)
        case Mute():
            await controls.set_muted(muted=command.muted)
        case Volume():
            await controls.set_volume(command.percent)
        case Reset():
            await controls.reset()
        case Profile():
            await controls.set_profile(command.profile)
        case Restart():
            await controls.restart()
    return None
