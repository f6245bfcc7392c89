"""Plays callers into the room, waits for the answers, and measures each turn.

While an answer is awaited nothing is computed but the level of new blocks: aligning a clip takes
a core for a moment, which would slow down the assistant on the same machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soxr

from voicebot.acoustic.heard import HeardTurn, hear_turn
from voicebot.acoustic.run_record import AcousticTurn
from voicebot.acoustic.turn_records import OwnTurn, nearest_turn
from voicebot.audio.files import read_audio
from voicebot.audio.loudness import audible_windows, window_samples
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import AudioError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voicebot.acoustic.ports import RoomPorts
    from voicebot.acoustic.tape import Tape
    from voicebot.acoustic.turn_records import TurnRecords
    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import Caller, CallerTurn

__all__ = ["CallerRun", "RunRules", "at_rate"]

_POLL_S = 0.02
_LEAD_S = 0.3
_RECORD_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class RunRules:
    """How callers are played.

    Attributes:
        patience_s: how long an answer is waited for.
        quiet_s: a reply is over after so much silence.
        longest_reply_s: after so long the next caller speaks all the same.
        mute_turns_max: so many turns without a sound from the assistant end the run.
    """

    patience_s: float = 10.0
    quiet_s: float = 1.5
    longest_reply_s: float = 60.0
    mute_turns_max: int = 3


class _Ear:
    """Follows the level of the bot's channel, block by block."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._channel = tape.channels - 1
        self._at = tape.end
        self._window = window_samples(tape.sample_rate_hz)
        self.last_audible = -1
        self._onsets: list[int] = []

    def listen(self) -> None:
        """Take in what is new."""
        whole = self._at + (self._tape.end - self._at) // self._window * self._window
        if whole == self._at:
            return
        samples, begin = self._tape.channel(self._channel, self._at, whole)
        for index in np.flatnonzero(audible_windows(samples, self._tape.sample_rate_hz)):
            at = begin + int(index) * self._window
            if at > self.last_audible + 20 * self._window:
                self._onsets.append(at)
            self.last_audible = at
        self._at = whole

    def onset_behind(self, sample: int) -> int | None:
        """Where the first sound begins that goes on behind ``sample``; None if there is none."""
        later = [at for at in self._onsets if at > sample]
        if later:
            return later[0]
        return self.last_audible if self.last_audible > sample else None


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """What was recorded of a turn; it is measured when there is time.

    Attributes:
        turn: its label.
        clip: what was played, at the player's rate.
        user: the caller's channel.
        bot: the bot's; None if one microphone heard both.
        starts_s: of the first sample, in the recording.
    """

    turn: CallerTurn
    clip: Samples
    user: Samples
    bot: Samples | None
    starts_s: float


class CallerRun:
    """A run in progress.

    Args:
        ports: both ends of the room.
        check_target: raises if the assistant has ended.
        records: the assistant's own account; None if it gives none.
        rules: how callers are played.
    """

    def __init__(
        self,
        ports: RoomPorts,
        *,
        check_target: Callable[[], None],
        records: TurnRecords | None,
        rules: RunRules,
    ) -> None:
        self._ports = ports
        self._tape = ports.tape
        self._check_target = check_target
        self._records = records
        self._rules = rules
        self._own_turns: list[OwnTurn] = []
        self._mute_turns = 0
        self._matched = False
        self._ear = _Ear(ports.tape)
        self.played: list[tuple[CallerTurn, float | None]] = []
        """Every turn so far, and when its clip began in the recording; None if it is not there."""

    def play(self, callers: Iterable[Caller], tell: Callable[[AcousticTurn], None]) -> None:
        """Play all callers; ``tell`` is given each turn as soon as it is measured.

        Raises:
            DeviceError: the room is gone.
            EngineError: the assistant has ended, or has not made a sound in several turns.
            AudioError: the callers are not in the recording.
        """
        self._await_quiet()
        for caller in callers:
            taken: list[_Taken] = []
            for number, turn in enumerate(caller.turns):
                following = next(iter(caller.turns[number + 1 :]), None)
                taken.append(self._take(turn, following))
                if following is None or _comes_when_it_is_quiet(following):
                    for each in taken:
                        tell(self._measure(each))
                    taken.clear()
                self._refuse_the_mute()

    def _refuse_the_mute(self) -> None:
        if self._mute_turns >= self._rules.mute_turns_max:
            raise EngineError(
                f"the assistant has not made a sound in {self._mute_turns} turns",
                "see whether it listens to the room's microphone and speaks to its "
                "loudspeaker, and what it printed",
            )

    def _await_quiet(self) -> None:
        """Let a greeting, or the end of the last reply, pass."""
        rate_hz = self._tape.sample_rate_hz
        began = self._tape.end
        quiet, longest = self._rules.quiet_s * rate_hz, self._rules.longest_reply_s * rate_hz
        while True:
            self._wait()
            now = self._tape.end
            if now - max(began, self._ear.last_audible) >= quiet or now - began >= longest:
                return

    def _take(self, turn: CallerTurn, following: CallerTurn | None) -> _Taken:
        """Play a turn and record it until it is over, or until ``following`` is due."""
        clip = at_rate(read_audio(turn.path).samples, self._ports.play_rate_hz)
        begins = self._tape.end
        playing = self._ports.play(clip)
        try:
            while not playing.is_over():
                self._wait()
        except BaseException:
            playing.stop()
            raise
        rate_hz = self._tape.sample_rate_hz
        clip_end = self._tape.end  # the clip has been played out by now
        self._await_reply(
            clip_end - round((turn.duration_s - turn.true_end_s) * rate_hz), following
        )
        self._mute_turns = 0 if self._ear.last_audible >= begins else self._mute_turns + 1
        until = self._tape.end
        user, first = self._tape.channel(0, begins - round(_LEAD_S * rate_hz), until)
        bot = self._tape.channel(1, first, until)[0] if self._tape.channels > 1 else None
        return _Taken(turn, clip, user, bot, first / rate_hz)

    def _measure(self, taken: _Taken) -> AcousticTurn:
        rate_hz = self._tape.sample_rate_hz
        turn = taken.turn
        try:
            heard = hear_turn(
                taken.user,
                taken.bot,
                rate_hz,
                clip=at_rate(taken.clip, rate_hz, self._ports.play_rate_hz),
                label=turn,
                starts_s=taken.starts_s,
            )
        except AudioError as error:
            if not self._matched:
                raise
            self.played.append((turn, None))
            return _unheard(turn, str(error))
        self._matched = True
        self.played.append((turn, heard.true_end_s - turn.true_end_s))
        return _measured(turn, heard, self._own_turn(heard), self._tape)

    def _await_reply(self, true_end: int, following: CallerTurn | None) -> None:
        """Wait until the turn is over, or until the next one of the conversation is due."""
        rate_hz = self._tape.sample_rate_hz
        rules = self._rules
        clip_end = self._tape.end
        while True:
            self._wait()
            now = self._tape.end
            onset = self._ear.onset_behind(true_end)
            waited_s = (now - true_end) / rate_hz
            if following is not None and following.gap_s is not None:
                if now - clip_end >= following.gap_s * rate_hz:
                    return
            elif following is not None and following.cue is not None:
                cue = following.cue
                if onset is not None and now - onset >= cue.after_s * rate_hz:
                    return
                if onset is None and (now - clip_end) / rate_hz >= cue.patience_s:
                    return
            elif onset is None:
                if waited_s >= rules.patience_s:
                    return
            elif (
                now - self._ear.last_audible >= rules.quiet_s * rate_hz
                or waited_s >= rules.longest_reply_s
            ):
                return

    def _own_turn(self, heard: HeardTurn) -> OwnTurn | None:
        """The assistant's own account, which comes when its turn is over."""
        if self._records is None or heard.audible_s is None:
            return None
        audible_s = self._tape.unix_time_s(heard.audible_s)
        until_s = time.monotonic() + _RECORD_PATIENCE_S
        while True:
            self._own_turns += self._records.take_new()
            found = nearest_turn(self._own_turns, audible_s)
            if found is not None:
                self._own_turns.remove(found)
                return found
            if time.monotonic() > until_s:
                return None
            self._wait()

    def _wait(self) -> None:
        time.sleep(_POLL_S)
        self._ports.check()
        self._check_target()
        self._ear.listen()


def _comes_when_it_is_quiet(turn: CallerTurn) -> bool:
    return turn.gap_s is None and turn.cue is None


def at_rate(samples: Samples, rate_hz: int, from_hz: int = INPUT_SAMPLE_RATE_HZ) -> Samples:
    """``samples`` resampled, in step with themselves; shape (n,)."""
    if rate_hz == from_hz:
        return samples
    resampled: Samples = soxr.resample(samples, from_hz, rate_hz, quality="VHQ")
    return resampled.astype(np.float32)


def _measured(turn: CallerTurn, heard: HeardTurn, own: OwnTurn | None, tape: Tape) -> AcousticTurn:
    difference = end_difference = start_difference = None
    if own is not None and heard.voice_to_voice_ms is not None and not heard.cut_in:
        difference = heard.voice_to_voice_ms - own.latency_ms
        if own.speech_end_s is not None:
            end_difference = (own.speech_end_s - tape.unix_time_s(heard.true_end_s)) * 1000.0
        if own.first_sample_s is not None and heard.audible_s is not None:
            start_difference = (tape.unix_time_s(heard.audible_s) - own.first_sample_s) * 1000.0
    return AcousticTurn(
        caller=turn.name,
        kind=turn.kind,
        true_end_s=heard.true_end_s,
        audible_s=heard.audible_s,
        voice_to_voice_ms=heard.voice_to_voice_ms,
        missed=heard.missed,
        cut_in=heard.cut_in,
        overlap_ms=heard.overlap_ms,
        yield_ms=heard.yield_ms,
        software_ms=None if own is None else own.latency_ms,
        difference_ms=difference,
        end_difference_ms=end_difference,
        start_difference_ms=start_difference,
        match=heard.match,
        stretch_ms=heard.stretch_ms,
        level_dbfs=heard.level_dbfs,
        reply_level_dbfs=heard.reply_level_dbfs,
        warnings=heard.warnings,
    )


def _unheard(turn: CallerTurn, why: str) -> AcousticTurn:
    return AcousticTurn(
        caller=turn.name,
        kind=turn.kind,
        true_end_s=None,
        audible_s=None,
        voice_to_voice_ms=None,
        missed=True,
        cut_in=False,
        overlap_ms=0.0,
        software_ms=None,
        difference_ms=None,
        end_difference_ms=None,
        start_difference_ms=None,
        match=0.0,
        stretch_ms=0.0,
        level_dbfs=None,
        reply_level_dbfs=None,
        warnings=(why,),
    )
