"""Plays callers into the session in real time and records what comes of it.

Each caller is a conversation of its own: fresh history, fresh virtual microphone and loudspeaker,
the same loaded stages.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import TYPE_CHECKING

from voicebot.bench.conversation import Conversation
from voicebot.bench.meters import LoopStallMeter, ProcessMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.bench.callers import Caller
    from voicebot.bench.conversation import RunnerRules
    from voicebot.bench.record import TurnRecord
    from voicebot.bench.turn_audio import TurnAudio
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.session import SessionRules
    from voicebot.stages import Stages

__all__ = ["BenchRunner", "Measurements"]


@dataclass(slots=True)
class Measurements:
    """What has been measured so far; complete or not, it can be written at any moment."""

    warmup_turns: list[TurnRecord] = field(default_factory=list)
    turns: list[TurnRecord] = field(default_factory=list)
    cpu_seconds: float = 0.0
    process: ProcessMeter = field(default_factory=ProcessMeter)
    loop: LoopStallMeter = field(init=False)
    is_complete: bool = False

    def __post_init__(self) -> None:
        self.loop = LoopStallMeter(self.process)

    @property
    def loop_stall_p95_ms(self) -> float | None:
        """95th percentile of how late the event loop was while callers were played."""
        return self.loop.p95_ms

    @property
    def cpu_seconds_per_turn(self) -> float | None:
        """Mean over the counted turns, listening and replies included."""
        return self.cpu_seconds / len(self.turns) if self.turns else None


def _unwatched(_: Event) -> None:
    """Nobody is told."""


class BenchRunner:
    """Plays callers to the stages.

    Args:
        stages: the loaded models.
        session_rules: the settings of each conversation.
        make_history: a fresh history for each caller.
        rules: how to play.
        on_turn: called with each record as it is made.
        watch: gives, for each caller whose turns count, what takes every fact of its session.
        audio: takes the sound of turns that count; None stores none.
        is_alone: no other runner plays at the same time, so that processor time is this one's.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        session_rules: SessionRules,
        make_history: Callable[[], History],
        rules: RunnerRules,
        on_turn: Callable[[TurnRecord], None],
        watch: Callable[[Caller], Callable[[Event], None]] = lambda _: _unwatched,
        is_alone: bool = True,
        audio: TurnAudio | None = None,
    ) -> None:
        self._stages = stages
        self._session_rules = session_rules
        self._make_history = make_history
        self._rules = rules
        self._on_turn = on_turn
        self._watch = watch
        self._is_alone = is_alone
        self._audio = audio

    async def run(self, callers: Sequence[Caller], into: Measurements) -> None:
        """Play the warm-up and then every caller; ``into`` grows turn by turn.

        Raises:
            AudioFileError: a clip cannot be read.
            EngineError: voice activity failed for good.
        """
        await self.warm_up(callers, into)
        for caller in callers:
            await self.play(caller, into)
        into.is_complete = True

    async def warm_up(self, callers: Sequence[Caller], into: Measurements) -> None:
        """Play callers, over again if need be, until there are enough turns not to be counted.

        Raises:
            AudioFileError: a clip cannot be read.
            EngineError: voice activity failed for good.
        """
        for caller in cycle(callers):
            if len(into.warmup_turns) >= self._rules.warmup_turns:
                return
            await self._play(caller, into, is_warmup=True)

    async def play(
        self, caller: Caller, into: Measurements, *, queue_wait_s: float | None = None
    ) -> None:
        """Play one caller whose turns count.

        Args:
            caller: who calls.
            into: grows by its turns.
            queue_wait_s: for the record: how long it waited for a free line.

        Raises:
            AudioFileError: a clip cannot be read.
            EngineError: voice activity failed for good.
        """
        async with into.loop.running():
            await self._play(caller, into, queue_wait_s=queue_wait_s)

    async def _play(
        self,
        caller: Caller,
        into: Measurements,
        *,
        is_warmup: bool = False,
        queue_wait_s: float | None = None,
    ) -> None:
        """Play one caller; each turn that was over is recorded, also when the run is stopped."""
        cpu_before_s = into.process.cpu_seconds()
        conversation = Conversation(
            caller,
            self._stages,
            session_rules=self._session_rules,
            history=self._make_history(),
            rules=self._rules,
            watch=_unwatched if is_warmup else self._watch(caller),
        )
        try:
            await conversation.hold()
        finally:
            cpu_s = into.process.cpu_seconds() - cpu_before_s
            share_s = cpu_s if self._is_alone else None
            audio = None if is_warmup else self._audio
            for scored in conversation.records(cpu_s=share_s, is_warmup=is_warmup, audio=audio):
                record = replace(scored, queue_wait_s=queue_wait_s)
                (into.warmup_turns if is_warmup else into.turns).append(record)
                self._on_turn(record)
            if self._is_alone and not is_warmup:
                into.cpu_seconds += cpu_s
