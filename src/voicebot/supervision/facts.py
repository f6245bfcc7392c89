"""What supervision finds and does, as facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ConversationForgotten",
    "DiskLow",
    "LoopStalled",
    "MemoryHigh",
    "MicrophoneDied",
    "MicrophoneRevived",
    "NewProcessWanted",
    "StageReplaced",
    "SupervisionFact",
    "fact_kind",
]


@dataclass(frozen=True, slots=True)
class StageReplaced:
    """A stage has a fresh engine.

    Attributes:
        stage: its name.
        reason: the line of the error that led to it.
        took_s: from that error to the fresh engine, in seconds.
        hung_threads: threads of stuck engines of this stage that were left behind and still hang.
    """

    stage: str
    reason: str
    took_s: float
    hung_threads: int

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return (
            f"the {self.stage} stage has a fresh engine after {self.took_s:.1f} s "
            f"({self.reason}); {self.hung_threads} of its threads hang"
        )


@dataclass(frozen=True, slots=True)
class NewProcessWanted:
    """Nothing in here helps any more: end the process when it can be done, and start a new one."""

    reason: str

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return f"a new process is needed: {self.reason}"


@dataclass(frozen=True, slots=True)
class MicrophoneDied:
    """The microphone has delivered nothing, or digital silence, for so long."""

    silent_s: float
    has_blocks: bool

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        what = "digital silence" if self.has_blocks else "nothing"
        return f"the microphone has delivered {what} for {self.silent_s:.0f} s"


@dataclass(frozen=True, slots=True)
class MicrophoneRevived:
    """A microphone that was dead delivers sound again."""

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return "the microphone works again"


@dataclass(frozen=True, slots=True)
class MemoryHigh:
    """More memory is in use than allowed."""

    used_mib: int
    max_mib: int

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return f"{self.used_mib} MiB of memory are in use; {self.max_mib} are allowed"


@dataclass(frozen=True, slots=True)
class DiskLow:
    """Less disk is free than wanted; so many old log files were removed."""

    free_mib: int
    min_mib: int
    removed_logs: int

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return (
            f"{self.free_mib} MiB of disk are free, {self.min_mib} are wanted; "
            f"{self.removed_logs} old log files were removed"
        )


@dataclass(frozen=True, slots=True)
class LoopStalled:
    """The event loop did nothing for so long."""

    late_ms: float

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return f"the event loop stood still for {self.late_ms:.0f} ms"


@dataclass(frozen=True, slots=True)
class ConversationForgotten:
    """Nobody has spoken for a while: what was said is forgotten."""

    exchanges: int
    idle_s: float

    @property
    def line(self) -> str:
        """The fact in one line, for staff."""
        return f"a conversation of {self.exchanges} exchanges was forgotten"


SupervisionFact: TypeAlias = (
    StageReplaced
    | NewProcessWanted
    | MicrophoneDied
    | MicrophoneRevived
    | MemoryHigh
    | DiskLow
    | LoopStalled
    | ConversationForgotten
)


def fact_kind(fact: SupervisionFact) -> str:
    """The fact's name for programs, such as ``stage_replaced``."""
    name = type(fact).__name__
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")
