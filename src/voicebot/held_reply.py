"""A reply that is held until it is known whether the user meant to interrupt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.turns.interruption import InterruptionRules, Intrusion, Verdict, judge

if TYPE_CHECKING:
    from voicebot.answer import Answer
    from voicebot.audio.sinks import AudioSink
    from voicebot.turn import Turn

__all__ = ["HeldReply"]


@dataclass(frozen=True, slots=True)
class HeldReply:
    """A turn whose reply is held.

    Attributes:
        turn: the turn that it answers.
        answer: the reply.
        onset_s: the estimated onset of the speech over it.
        silent_from_s: the instant behind the bot's last sample.
    """

    turn: Turn
    answer: Answer
    onset_s: float
    silent_from_s: float

    @classmethod
    def hold(cls, turn: Turn, answer: Answer, sink: AudioSink, onset_s: float) -> HeldReply:
        """Fall silent at once and keep what is not heard yet."""
        answer.hold()
        return cls(turn, answer, onset_s, sink.clear())

    def weigh(
        self, speech_end_s: float, words: str, *, is_over: bool, rules: InterruptionRules
    ) -> Verdict:
        """What to do with it, by the latest of the speech over it."""
        speech_ms = (speech_end_s - self.onset_s) * 1000.0
        return judge(Intrusion(speech_ms, words, is_over), rules)

    def go_on(self) -> None:
        """Play on from the start of the word that was cut."""
        self.answer.resume(self.silent_from_s)
