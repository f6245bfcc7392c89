"""What takes part in a kiosk besides the page: the one place where other parts are joined to it.

A part may wrap the stages, watch the conversation's facts (a message bus, a counter), learn what
supervision found, and steer the kiosk (``KioskControls``). It is entered in ``kiosk_parts`` and
lives as long as the kiosk.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicebot.supervision.facts import fact_kind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from voicebot.config import Settings
    from voicebot.events import Event, TurnClosed
    from voicebot.stages import Stages
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["KioskControls", "KioskParts", "kiosk_parts"]


class KioskControls(Protocol):
    """What a part may ask of the kiosk, on the loop."""

    @property
    def is_muted(self) -> bool:
        """Whether it listens to nobody."""
        ...

    @property
    def volume_percent(self) -> int:
        """How loud the pages play, 0 to 100."""
        ...

    @property
    def underruns(self) -> int:
        """How often the pages' loudspeaker ran dry."""
        ...

    def begin_visit(self) -> None:
        """Listen to whoever is there."""
        ...

    def end_visit(self) -> None:
        """End the conversation and forget it."""
        ...

    def say(self, text: str) -> asyncio.Future[TurnClosed]:
        """Speak ``text`` as it stands; cancelled if the conversation ends before.

        Raises:
            VoicebotError: no conversation is going on, or the text is empty.
        """
        ...

    def ask(self, text: str) -> asyncio.Future[TurnClosed]:
        """Answer ``text`` as a visitor's words; cancelled if the conversation ends before.

        Raises:
            VoicebotError: no conversation is going on, or the text is empty.
        """
        ...

    def set_muted(self, *, muted: bool) -> None:
        """Listen to nobody, or listen again."""
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
        fact_observers: take what supervision found, in the same way.
        on_forgotten: are called when a conversation is over and forgotten.
    """

    wrap_stages: Callable[[Stages], Stages]
    observers: tuple[Callable[[Event], None], ...] = ()
    fact_observers: tuple[Callable[[SupervisionFact], None], ...] = ()
    on_forgotten: tuple[Callable[[], None], ...] = ()


@asynccontextmanager
async def kiosk_parts(settings: Settings, controls: KioskControls) -> AsyncIterator[KioskParts]:
    """All parts that the settings switch on, until the context is left.

    Raises:
        ConfigError: the message bus lacks a package, a password or a certificate.
        OutputError: its outbox cannot be opened.
    """
    if not settings.mqtt.host:
        yield KioskParts(wrap_stages=lambda stages: stages)
        return
    from voicebot.kiosk.remote_controls import RemoteControls  # noqa: PLC0415  # off by default
    from voicebot.mqtt.bridge import running_bridge  # noqa: PLC0415  # off by default

    remote = RemoteControls(controls, settings.profile)
    async with running_bridge(
        settings.mqtt, remote, underruns=lambda: controls.underruns
    ) as bridge:
        assert bridge is not None  # noqa: S101  # there is a host
        remote.changed = bridge.tell_controls
        bridge.tell_controls(remote.state)

        def tell_fact(fact: SupervisionFact) -> None:
            bridge.tell_notice(fact_kind(fact), fact.line)

        yield KioskParts(
            wrap_stages=lambda stages: stages,
            observers=(bridge.observe,),
            fact_observers=(tell_fact,),
            on_forgotten=(bridge.tell_forgotten,),
        )
