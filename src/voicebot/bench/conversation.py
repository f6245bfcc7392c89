"""One caller on the line: a virtual microphone, a virtual loudspeaker and a session between them.

Callers are open loop: their turns are scheduled before the first sound, and they speak on whatever
the bot does. Only a turn with a cue waits for a moment of the bot's reply, to speak into it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.bench.hang_up import HangUp
from voicebot.bench.scoring import MISS_AFTER_S, PlayedTurn, heard_spans, heard_stretches, score
from voicebot.bench.turn_audio import side_by_side
from voicebot.events import StageFellBack, StageRecovered, TurnClosed
from voicebot.session import Session, SessionRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import Caller
    from voicebot.bench.record import TurnRecord
    from voicebot.bench.turn_audio import TurnAudio
    from voicebot.events import Event
    from voicebot.history import History
    from voicebot.stages import Stages

__all__ = ["Conversation", "RunnerRules"]

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
        hang_up_after_s: how much of the reply to their last turn callers listen to before the
            conversation ends; None is all of it.
    """

    block_ms: float = 10.0
    output_latency_ms: float = 20.0
    turn_gap_s: float = 15.0
    warmup_turns: int = 2
    seed: int = 0
    hang_up_after_s: float | None = None


class Conversation:
    """One caller, played once; needs a running event loop.

    Args:
        caller: who calls.
        stages: the loaded models.
        session_rules: the settings of the conversation.
        history: what was said before.
        rules: how to play.
        watch: takes every fact of the session, too.

    Raises:
        AudioFileError: a clip cannot be read.
    """

    def __init__(
        self,
        caller: Caller,
        stages: Stages,
        *,
        session_rules: SessionRules,
        history: History,
        rules: RunnerRules,
        watch: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._watch = watch
        clips = [read_audio(turn.path) for turn in caller.turns]  # before anybody listens
        self._caller = caller
        self._rules = rules
        self._microphone = VirtualMicrophone(
            block_ms=rules.block_ms, seed=rules.seed, background=_background(caller)
        )
        self._speaker = VirtualSpeaker(
            stages.tts.sample_rate_hz,
            block_ms=rules.block_ms,
            output_latency_ms=rules.output_latency_ms,
        )
        self._session = Session(
            self._microphone,
            self._speaker,
            stages,
            history=history,
            rules=session_rules,
            notify=self._observe,
        )
        self._closed: list[TurnClosed] = []
        self._fallen_back: set[str] = set()
        self._fallbacks: dict[int, tuple[str, ...]] = {}
        self._stopped = self._hung_up = False
        self._end_s = 0.0
        self._starts_s: list[float] = []
        self._hang_up: HangUp | None = None
        self._clips = [clip.samples for clip in clips]
        self._to_come = deque(zip(caller.turns, self._clips, strict=True))
        self._schedule_next(asyncio.get_running_loop().time() + _LEAD_S)
        self._schedule_timed_turns()

    def _schedule_next(self, not_before_s: float) -> None:
        turn, samples = self._to_come.popleft()
        self._starts_s.append(self._microphone.play(samples, not_before_s=not_before_s))
        self._clip_end_s = self._starts_s[-1] + len(samples) / INPUT_SAMPLE_RATE_HZ
        if not self._to_come and self._rules.hang_up_after_s is not None:
            last_speech_start_s = self._starts_s[-1] + turn.speech[-1][0]
            self._hang_up = HangUp(self._rules.hang_up_after_s, last_speech_start_s)

    def _schedule_timed_turns(self) -> None:
        """Schedule all that come at their time, up to one that waits for a reply."""
        while self._to_come and (turn := self._to_come[0][0]).cue is None:
            gap_s = self._rules.turn_gap_s if turn.gap_s is None else turn.gap_s
            self._schedule_next(self._clip_end_s + gap_s)

    def _schedule_on_cue(self, now_s: float) -> None:
        """Schedule the turn that waits for a reply, once there is one or patience ends."""
        if not self._to_come or (cue := self._to_come[0][0].cue) is None:
            return
        before = self._caller.turns[len(self._starts_s) - 1]
        true_end_s = self._starts_s[-1] + before.true_end_s
        onset_s = next((start for start, _ in self._bot_spans() if start >= true_end_s), None)
        if cue.at_word:
            _, heard = self._session.heard_so_far()
            is_word_heard = len(heard.split()) >= cue.at_word
            onset_s = now_s if onset_s is not None and is_word_heard else None
        if onset_s is not None:
            self._schedule_next(onset_s + cue.after_s)
        elif now_s >= self._clip_end_s + cue.patience_s:
            self._schedule_next(now_s)
        else:
            return
        self._schedule_timed_turns()

    @property
    def starts_s(self) -> tuple[float, ...]:
        """The instant of the first sample of each turn's clip, on the event loop's clock."""
        return tuple(self._starts_s)

    async def hold(self) -> None:
        """Talk until the last turn has been answered, or missed, or the caller hangs up.

        Raises:
            EngineError: voice activity failed for good.
        """
        running = asyncio.create_task(self._session.run())
        try:
            await self._listen(running)
            if self._hung_up:
                running.cancel()
        except asyncio.CancelledError:
            self._stopped = True
            running.cancel()
            raise
        finally:
            self._microphone.close()
            await asyncio.gather(running, return_exceptions=True)
            self._end_s = asyncio.get_running_loop().time()
        if not (self._hung_up and running.cancelled()):
            running.result()

    def records(
        self, *, cpu_s: float | None, is_warmup: bool, audio: TurnAudio | None = None
    ) -> list[TurnRecord]:
        """Each turn that was over when the conversation ended; to be asked for once.

        Args:
            cpu_s: processor seconds of the whole conversation; None if they cannot be told.
            is_warmup: its turns are not to be counted.
            audio: takes the sound of each turn; None stores none.

        Raises:
            OutputError: the sound cannot be stored.
        """
        playbacks = self._speaker.take_played()
        bot_spans = heard_spans(playbacks, self._speaker.sample_rate_hz)
        bot_stretches = heard_stretches(playbacks, self._speaker.sample_rate_hz)
        turns = self._caller.turns[: len(self._starts_s)]
        found = []
        for index, turn in enumerate(turns):
            is_last = index + 1 == len(turns)  # of those that were spoken
            until_s = self._end_s if is_last else self._starts_s[index + 1]
            if self._stopped and (is_last or until_s > self._end_s):
                break  # this one was not over
            if is_last and self._hung_up:
                until_s = math.inf  # its end came early: nothing near it belongs to a later turn
            record = score(
                PlayedTurn(
                    turn,
                    self._starts_s[index],
                    until_s,
                    self._caller.name if len(turns) > 1 else None,
                ),
                bot_spans=bot_spans,
                closed=self._closed,
                bot_stretches=bot_stretches,
                underruns=self._speaker.underruns if is_last else 0,
                cpu_s=None if cpu_s is None else cpu_s / len(turns),
                is_warmup=is_warmup,
                fallbacks=self._fallbacks,
            )
            if audio is not None:
                sound = side_by_side(
                    self._clips[index],
                    self._starts_s[index],
                    until_s,
                    playbacks,
                    self._speaker.sample_rate_hz,
                )
                record = replace(record, audio=audio.write(turn.name, sound))
            found.append(record)
        return found

    def _observe(self, event: Event) -> None:
        self._watch(event)
        if self._hang_up is not None:
            self._hang_up.observe(event)
        match event:
            case TurnClosed():
                self._closed.append(event)
                self._fallbacks[event.turn] = tuple(self._fallen_back)
            case StageFellBack(stage=stage):
                self._fallen_back.add(stage)
            case StageRecovered(stage=stage):
                self._fallen_back.discard(stage)

    async def _listen(self, running: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        while self._to_come and not running.done():
            await asyncio.sleep(_POLL_S)
            self._schedule_on_cue(loop.time())
        last_turn, last_start_s = self._caller.turns[-1], self._starts_s[-1]
        clip_end_s = last_start_s + last_turn.duration_s
        missed_s = last_start_s + last_turn.true_end_s + MISS_AFTER_S
        while loop.time() < missed_s + _LONGEST_REPLY_S and not running.done():
            await asyncio.sleep(_POLL_S)
            now_s = loop.time()
            if now_s < clip_end_s:
                continue
            if self._session.is_idle:
                has_closed = any(item.speech_start_s >= last_start_s for item in self._closed)
                if has_closed or now_s > missed_s:
                    return
            elif self._hang_up is not None and self._hang_up.is_due(now_s, self._bot_spans):
                self._hung_up = True
                return

    def _bot_spans(self) -> list[tuple[float, float]]:
        return heard_spans(self._speaker.written(), self._speaker.sample_rate_hz)


def _background(caller: Caller) -> Samples | None:
    if caller.background is None:
        return None
    return read_audio(caller.background.path).samples * np.float32(caller.background.gain)
