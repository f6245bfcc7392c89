"""Plays callers into the session in real time and records what comes of it.

Each caller is a conversation of its own: fresh history, fresh virtual microphone and loudspeaker,
the same loaded stages. Callers are open loop: all their turns are scheduled before the first
sound, and they speak on whatever the bot does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.bench.meters import LoopStallMeter, ProcessMeter
from voicebot.bench.scoring import MISS_AFTER_S, PlayedTurn, heard_spans, heard_stretches, score
from voicebot.events import TurnClosed
from voicebot.session import Session, SessionRules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.bench.callers import Caller, CallerTurn
    from voicebot.bench.record import TurnRecord
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.stages import Stages

__all__ = ["BenchRunner", "Measurements", "RunnerRules"]

_LEAD_S = 0.3
_POLL_S = 0.02
_LONGEST_REPLY_S = 60.0


@dataclass(frozen=True, slots=True)
class RunnerRules:
    """How callers are played.

    Attributes:
        block_ms: of the virtual devices.
        output_latency_ms: of the virtual loudspeaker.
        turn_gap_s: between two turns of a conversation, where the manifest does not say.
        warmup_turns: turns played first and not counted.
        seed: of the microphone's faint noise.
    """

    block_ms: float = 10.0
    output_latency_ms: float = 20.0
    turn_gap_s: float = 15.0
    warmup_turns: int = 2
    seed: int = 0


@dataclass(slots=True)
class Measurements:
    """What has been measured so far; complete or not, it can be written at any moment."""

    warmup_turns: list[TurnRecord] = field(default_factory=list)
    turns: list[TurnRecord] = field(default_factory=list)
    cpu_seconds: float = 0.0
    process: ProcessMeter = field(default_factory=ProcessMeter)
    loop_stall_p95_ms: float | None = None
    is_complete: bool = False

    @property
    def cpu_seconds_per_turn(self) -> float | None:
        """Mean over the counted turns, listening and replies included."""
        return self.cpu_seconds / len(self.turns) if self.turns else None


class BenchRunner:
    """Plays callers to the stages.

    Args:
        stages: the loaded models.
        session_rules: the settings of each conversation.
        make_history: a fresh history for each caller.
        rules: how to play.
        on_turn: called with each record as it is made.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        session_rules: SessionRules,
        make_history: Callable[[], History],
        rules: RunnerRules,
        on_turn: Callable[[TurnRecord], None],
    ) -> None:
        self._stages = stages
        self._session_rules = session_rules
        self._make_history = make_history
        self._rules = rules
        self._on_turn = on_turn

    async def run(self, callers: Sequence[Caller], into: Measurements) -> None:
        """Play the warm-up and then every caller; ``into`` grows turn by turn.

        Raises:
            AudioFileError: a clip cannot be read.
            EngineError: voice activity failed for good.
        """
        meter = LoopStallMeter(into.process)
        async with meter.running():
            await self._warm_up(callers, into)
            for caller in callers:
                before_s = into.process.cpu_seconds()
                try:
                    await self._play(caller, into)
                finally:
                    into.cpu_seconds += into.process.cpu_seconds() - before_s
                    into.loop_stall_p95_ms = meter.p95_ms
        into.is_complete = True

    async def _warm_up(self, callers: Sequence[Caller], into: Measurements) -> None:
        for caller in cycle(callers):
            if len(into.warmup_turns) >= self._rules.warmup_turns:
                return
            await self._play(caller, into, is_warmup=True)

    async def _play(self, caller: Caller, into: Measurements, *, is_warmup: bool = False) -> None:
        """Play one caller; each turn that was over is recorded, also when the run is stopped."""

        def take(record: TurnRecord) -> None:
            (into.warmup_turns if is_warmup else into.turns).append(record)
            self._on_turn(record)

        clips = [read_audio(turn.path) for turn in caller.turns]  # before anybody listens
        microphone = VirtualMicrophone(block_ms=self._rules.block_ms, seed=self._rules.seed)
        speaker = VirtualSpeaker(
            self._stages.tts.sample_rate_hz,
            block_ms=self._rules.block_ms,
            output_latency_ms=self._rules.output_latency_ms,
        )
        closed: list[TurnClosed] = []

        def observe(event: Event) -> None:
            if isinstance(event, TurnClosed):
                closed.append(event)

        session = Session(
            microphone,
            speaker,
            self._stages,
            history=self._make_history(),
            rules=self._session_rules,
            notify=observe,
        )
        not_before_s = asyncio.get_running_loop().time() + _LEAD_S
        starts_s: list[float] = []
        for turn, clip in zip(caller.turns, clips, strict=True):
            if starts_s:
                not_before_s += self._rules.turn_gap_s if turn.gap_s is None else turn.gap_s
            starts_s.append(microphone.play(clip.samples, not_before_s=not_before_s))
            not_before_s = starts_s[-1] + len(clip.samples) / INPUT_SAMPLE_RATE_HZ
        running = asyncio.create_task(session.run())
        stopped = False
        try:
            await self._listen(session, running, closed, caller.turns[-1], starts_s[-1])
        except asyncio.CancelledError:
            stopped = True
            running.cancel()
            raise
        finally:
            microphone.close()
            await asyncio.gather(running, return_exceptions=True)
            end_s = asyncio.get_running_loop().time()
            playbacks = speaker.take_played()
            bot_spans = heard_spans(playbacks, speaker.sample_rate_hz)
            bot_stretches = heard_stretches(playbacks, speaker.sample_rate_hz)
            for index, turn in enumerate(caller.turns):
                is_last = index + 1 == len(caller.turns)
                until_s = end_s if is_last else starts_s[index + 1]
                if stopped and (is_last or until_s > end_s):
                    break  # this one was not over
                take(
                    score(
                        PlayedTurn(
                            turn,
                            starts_s[index],
                            until_s,
                            caller.name if len(caller.turns) > 1 else None,
                        ),
                        bot_spans=bot_spans,
                        closed=closed,
                        bot_stretches=bot_stretches,
                        underruns=speaker.underruns if is_last else 0,
                        is_warmup=is_warmup,
                    )
                )
        running.result()

    @staticmethod
    async def _listen(
        session: Session,
        running: asyncio.Task[None],
        closed: Sequence[TurnClosed],
        last_turn: CallerTurn,
        last_start_s: float,
    ) -> None:
        """Until the last turn has been answered to the end, or missed."""
        loop = asyncio.get_running_loop()
        clip_end_s = last_start_s + last_turn.duration_s
        true_end_s = last_start_s + last_turn.true_end_s
        while loop.time() < true_end_s + MISS_AFTER_S + _LONGEST_REPLY_S and not running.done():
            await asyncio.sleep(_POLL_S)
            if loop.time() < clip_end_s or not session.is_idle:
                continue
            has_closed = any(item.speech_start_s >= last_start_s for item in closed)
            if has_closed or loop.time() > true_end_s + MISS_AFTER_S:
                return
