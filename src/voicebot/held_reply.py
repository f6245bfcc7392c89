"""A reply that is held until it is known whether the user meant to interrupt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.turns.interruption import InterruptionRules, Intrusion, Verdict, judge

if TYPE_CHECKING:
    from voicebot.answer import Answer
    from voicebot.audio.sinks import AudioSink
    from voicebot.events import SpeechStarted
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
        is_taken_up: whether the speech, unless it is but an acknowledgement, goes on with the very
            turn that the reply answers; its transcript then begins with that turn's words.
    """

    turn: Turn
    answer: Answer
    onset_s: float
    silent_from_s: float
    is_taken_up: bool = False

    @classmethod
    def hold(cls, turn: Turn, answer: Answer, sink: AudioSink, started: SpeechStarted) -> HeldReply:
        """Fall silent at once and keep what is not heard yet."""
        answer.hold()
        is_taken_up = started.continues is not None
        return cls(turn, answer, started.speech_start_s, sink.clear(), is_taken_up)

    def new_words(self, transcript: str) -> str:
        """The words over the reply, without those that it answers."""
        return transcript.removeprefix(self.answer.transcript) if self.is_taken_up else transcript

    def weigh(
        self, speech_end_s: float, transcript: str, *, is_over: bool, rules: InterruptionRules
    ) -> Verdict:
        """What to do with it, by the latest of the speech over it."""
        intrusion = Intrusion(
            speech_ms=(speech_end_s - self.onset_s) * 1000.0,
            words=self.new_words(transcript),
            is_asked=self.answer.text.endswith("?"),
            is_over=is_over,
        )
        return judge(intrusion, rules)

    def go_on(self) -> None:
        """Play on from the start of the word that was cut."""
        self.answer.resume(self.silent_from_s)
