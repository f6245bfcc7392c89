"""What plays the caller and what records both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voicebot.acoustic.tape import Tape
    from voicebot.audio.samples import Samples

__all__ = ["Playing", "RoomPorts"]


class Playing(Protocol):
    """A clip that is being played."""

    def is_over(self) -> bool:
        """Whether all of it has been handed to the device.

        Raises:
            DeviceError: the device has failed.
        """
        ...

    def stop(self) -> None:
        """Break it off."""
        ...


class RoomPorts(Protocol):
    """Both ends of a room, open.

    Attributes:
        tape: what is recorded.
        play_rate_hz: the rate of what ``play`` takes.
    """

    tape: Tape
    play_rate_hz: int

    def play(self, samples: Samples) -> Playing:
        """Begin to play the caller; gives what is under way."""
        ...

    def check(self) -> None:
        """Find out whether the recording goes on.

        Raises:
            DeviceError: it does not.
        """
        ...
