"""How the kiosk is: figures gathered from facts, no word of a visitor (pure but for the clock)."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.events import BargedIn, StageFailed, StageFellBack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.events import Event
    from voicebot.telemetry.turn_facts import TurnFacts

__all__ = ["Health", "HealthKeeper", "MachineFacts", "percentile"]

_LATENCIES_KEPT = 500
_ERROR_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is read of the machine and the audio at the moment of telling.

    Attributes:
        uptime_s: since the bridge began.
        memory_mib: resident memory of the process.
        underruns: how often the loudspeaker ran dry in the middle of an utterance.
    """

    uptime_s: float
    memory_mib: float
    underruns: int


@dataclass(frozen=True, slots=True)
class Health:
    """One report.

    Attributes:
        version: of voicebot.
        uptime_s: since the bridge began.
        memory_mib: resident memory.
        turns: turns that are over, since the start.
        answered: those that were answered.
        latency_p50_ms: of the latest 500 answers; None without one.
        latency_p95_ms: likewise.
        interruptions: replies that were cut short.
        underruns: how often the loudspeaker ran dry.
        stage_failures: failures of stages, since the start.
        last_error: the line of the latest one; None without one.
        turns_waiting: turns in the outbox.
        turns_dropped: turns that nobody will be told of.
        commands: how many commands met which fate.
    """

    version: str
    uptime_s: int
    memory_mib: int
    turns: int
    answered: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    interruptions: int
    underruns: int
    stage_failures: int
    last_error: str | None
    turns_waiting: int
    turns_dropped: int
    commands: dict[str, int]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest of ``values`` that ``percent`` of them do not exceed; None without values."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100.0))
    return sorted(values)[rank - 1]


class HealthKeeper:
    """Counts what happens."""

    def __init__(self) -> None:
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._turns = 0
        self._answered = 0
        self._interruptions = 0
        self._stage_failures = 0
        self._last_error: str | None = None
        self.commands: Counter[str] = Counter()

    def observe(self, event: Event) -> None:
        """Count what is no turn."""
        if isinstance(event, BargedIn):
            self._interruptions += 1
        elif isinstance(event, StageFailed | StageFellBack):
            self._stage_failures += 1
            self.note_error(str(event.error))

    def note_error(self, line: str) -> None:
        """Remember the latest error."""
        self._last_error = " ".join(line.split())[:_ERROR_CHARACTERS_MAX]

    def count(self, facts: TurnFacts) -> None:
        """Count a turn that is over."""
        self._turns += 1
        self._answered += facts.outcome == "answered"
        if facts.latency_ms is not None:
            self._latencies_ms.append(facts.latency_ms)

    def report(
        self, machine: MachineFacts, *, version: str, turns_waiting: int, turns_dropped: int
    ) -> Health:
        """The figures as they are now."""
        p50_ms = percentile(self._latencies_ms, 50)
        p95_ms = percentile(self._latencies_ms, 95)
        return Health(
            version=version,
            uptime_s=round(machine.uptime_s),
            memory_mib=round(machine.memory_mib),
            turns=self._turns,
            answered=self._answered,
            latency_p50_ms=None if p50_ms is None else round(p50_ms, 1),
            latency_p95_ms=None if p95_ms is None else round(p95_ms, 1),
            interruptions=self._interruptions,
            underruns=machine.underruns,
            stage_failures=self._stage_failures,
            last_error=self._last_error,
            turns_waiting=turns_waiting,
            turns_dropped=turns_dropped,
            commands=dict(self.commands),
        )
