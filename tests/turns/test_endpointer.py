"""The endpointer against its invariants, and its rules one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voicebot.events import (
    CommitReason,
    EvidenceWanted,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnCommitted,
    TurnDismissed,
)
from voicebot.turns.endpointer import BotState, Decision, Endpointer, EndpointerRules
from voicebot.turns.evidence import Look, Reading
from voicebot.turns.waits import FusedWait, PlainWait, SilenceWait, SmartTurnWait, WaitRule

FRAME_S = 0.032
PLAIN = PlainWait()
RULES = EndpointerRules(waiting=PLAIN)


class Driver:
    """Feeds an endpointer frame by frame and keeps its decisions."""

    def __init__(self, rules: EndpointerRules = RULES) -> None:
        self.endpointer = Endpointer(rules)
        self.frames = 0
        self.decisions: list[Decision] = []

    @property
    def now_s(self) -> float:
        return self.frames * FRAME_S

    def hear(self, probability: float, frames: int = 1, bot: BotState = BotState.SILENT) -> None:
        for _ in range(frames):
            self.decisions += self.endpointer.observe_frame(
                self.now_s, self.now_s + FRAME_S, probability, bot
            )
            self.frames += 1

    def judge(self, completion: float) -> None:
        ended = [d for d in self.decisions if isinstance(d, SpeechEnded)][-1]
        self.decisions += self.endpointer.observe_completion(
            ended.ending, Look((self.now_s - ended.speech_end_s) * 1000, completion)
        )

    def read(self, end_probability: float) -> None:
        ended = [d for d in self.decisions if isinstance(d, SpeechEnded)][-1]
        self.decisions += self.endpointer.observe_reading(
            ended.ending, Reading("how are you", end_probability)
        )

    def of(self, kind: type[Any]) -> list[Any]:
        return [decision for decision in self.decisions if isinstance(decision, kind)]

    def silence_until_commit_ms(self) -> float:
        while not self.of(TurnCommitted):
            self.hear(0.0)
            assert self.frames < 1000
        committed = self.of(TurnCommitted)[0]
        return float((committed.at_s - committed.speech_end_s) * 1000)


def after_speech(rules: EndpointerRules = RULES) -> Driver:
    driver = Driver(rules)
    driver.hear(0.0, 10)
    driver.hear(0.9, 20)
    driver.hear(0.0, 3)
    assert driver.of(SpeechEnded)
    return driver


def test_onset_and_end_are_told_to_the_frame() -> None:
    driver = after_speech()
    (started,) = driver.of(SpeechStarted)
    (ended,) = driver.of(SpeechEnded)
    assert started.speech_start_s == pytest.approx(10 * FRAME_S)
    assert ended.speech_end_s == pytest.approx(30 * FRAME_S)
    assert ended.at_s - ended.speech_end_s == pytest.approx(0.064)


@pytest.mark.parametrize(
    ("completion", "transcript_end", "reason", "wait_ms"),
    [
        (0.95, None, CommitReason.SURE, PLAIN.sure_ms),
        (0.95, 0.4, CommitReason.SURE, PLAIN.sure_ms),
        (0.95, 0.001, CommitReason.LIKELY, PLAIN.likely_ms),
        (0.7, None, CommitReason.LIKELY, PLAIN.likely_ms),
        (0.7, 0.001, CommitReason.UNSURE, PLAIN.unsure_ms),
        (0.2, 0.4, CommitReason.UNSURE, PLAIN.unsure_ms),
        (None, None, CommitReason.LIKELY, PLAIN.likely_ms),
        (None, 0.001, CommitReason.UNSURE, PLAIN.unsure_ms),
    ],
)
def test_the_wait_follows_the_evidence(
    completion: float | None, transcript_end: float | None, reason: CommitReason, wait_ms: float
) -> None:
    driver = after_speech()
    if completion is not None:
        driver.judge(completion)
    if transcript_end is not None:
        driver.read(transcript_end)
    waited_ms = driver.silence_until_commit_ms()
    assert wait_ms <= waited_ms < wait_ms + FRAME_S * 1000
    assert driver.of(TurnCommitted)[0].reason is reason


def test_late_evidence_commits_at_once_when_its_wait_is_over() -> None:
    driver = after_speech()
    driver.hear(0.0, 8)
    assert not driver.of(TurnCommitted)
    driver.judge(0.99)
    assert driver.of(TurnCommitted)


def test_evidence_about_an_earlier_ending_is_ignored() -> None:
    driver = after_speech()
    stale = driver.of(SpeechEnded)[0].ending
    driver.hear(0.9, 10)
    driver.hear(0.0, 6)
    assert driver.of(SpeechResumed)
    assert driver.endpointer.observe_completion(stale, Look(96, 1.0)) == []
    driver.hear(0.0, 4)
    assert not driver.of(TurnCommitted)


def test_evidence_is_asked_for_again_as_the_silence_goes_on() -> None:
    driver = after_speech()
    driver.judge(0.1)
    driver.hear(0.0, 30)
    assert 2 <= len(driver.of(EvidenceWanted)) <= 4


def test_a_click_is_no_turn() -> None:
    driver = Driver()
    driver.hear(0.9, 1)
    driver.hear(0.0, 50)
    assert driver.decisions == []


def test_too_little_speech_is_dismissed() -> None:
    driver = Driver(replace(RULES, min_speech_ms=200.0))
    driver.hear(0.9, 3)
    driver.hear(0.0, 50)
    assert [type(decision) for decision in driver.decisions] == [SpeechStarted, TurnDismissed]


@pytest.mark.parametrize("bot", [BotState.SILENT, BotState.PENDING])
def test_a_cough_that_takes_up_a_turn_is_not_dismissed_for_its_length(bot: BotState) -> None:
    driver = after_speech()
    driver.silence_until_commit_ms()
    driver.hear(0.9, 3, bot)
    assert RULES.min_speech_ms > 3 * FRAME_S * 1000
    assert driver.of(SpeechStarted)[1].continues == 1
    driver.hear(0.0, 50, bot)
    assert [committed.turn for committed in driver.of(TurnCommitted)] == [1, 2]
    assert not driver.of(TurnDismissed)


def test_a_cough_after_an_answered_turn_is_dismissed() -> None:
    driver = after_speech()
    driver.silence_until_commit_ms()
    driver.endpointer.close_merge_window()
    driver.hear(0.9, 3)
    driver.hear(0.0, 50)
    assert [dismissed.turn for dismissed in driver.of(TurnDismissed)] == [2]


def test_speaking_over_the_bot_takes_longer_to_count() -> None:
    rules = EndpointerRules(barge_in_ms=160.0)
    silent, audible = Driver(rules), Driver(rules)
    silent.hear(0.9, 3)
    audible.hear(0.9, 3, BotState.AUDIBLE)
    assert silent.of(SpeechStarted)
    assert not audible.of(SpeechStarted)
    audible.hear(0.9, 2, BotState.AUDIBLE)
    assert audible.of(SpeechStarted)


def test_what_is_withdrawn_was_no_turn() -> None:
    driver = after_speech()
    driver.endpointer.withdraw()
    assert not driver.endpointer.is_open
    driver.hear(0.0, 100)
    assert not driver.of(TurnCommitted)
    driver.hear(0.9, 3)
    started = driver.of(SpeechStarted)
    assert [each.turn for each in started] == [1, 2]
    assert started[1].continues is None


def test_who_goes_on_within_the_window_takes_up_their_turn() -> None:
    driver = after_speech()
    driver.judge(0.95)
    driver.silence_until_commit_ms()
    driver.hear(0.0, 10)
    driver.hear(0.9, 3)
    assert driver.of(SpeechStarted)[1].continues == 1


def test_who_speaks_after_the_window_begins_a_new_turn() -> None:
    driver = after_speech()
    driver.silence_until_commit_ms()
    driver.hear(0.0, 60)
    driver.hear(0.9, 3)
    assert driver.of(SpeechStarted)[1].continues is None


def test_who_speaks_while_the_reply_is_pending_takes_up_their_turn_however_late() -> None:
    driver = after_speech()
    driver.silence_until_commit_ms()
    driver.hear(0.0, 200, BotState.PENDING)
    driver.hear(0.9, 3, BotState.PENDING)
    assert driver.of(SpeechStarted)[1].continues == 1


def test_after_an_answered_turn_the_window_is_closed() -> None:
    driver = after_speech()
    driver.silence_until_commit_ms()
    driver.endpointer.close_merge_window()
    driver.hear(0.9, 3)
    assert driver.of(SpeechStarted)[1].continues is None


def test_after_the_longest_turn_the_first_pause_ends_it() -> None:
    driver = Driver(replace(RULES, max_turn_s=1.0))
    driver.hear(0.9, 60)
    driver.hear(0.0, 3)
    driver.judge(0.0)
    assert driver.silence_until_commit_ms() < PLAIN.sure_ms + FRAME_S * 1000


def test_time_cannot_go_back() -> None:
    driver = after_speech()
    with pytest.raises(ValueError, match="comes after"):
        driver.endpointer.observe_frame(0.0, FRAME_S, 0.5)


class EndpointerMachine(RuleBasedStateMachine):
    """Any order of evidence keeps the invariants."""

    waiting: WaitRule = PLAIN

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(replace(RULES, waiting=self.waiting))
        self.seen = 0
        self.open_turn: int | None = None
        self.continues: int | None = None
        self.last_at_s = float("-inf")
        self.last_frame_was_speech = False

    @property
    def silence_ms(self) -> float:
        ended = self.driver.of(SpeechEnded)
        return (self.driver.now_s - ended[-1].speech_end_s) * 1000 if ended else 0.0

    @rule(
        probability=st.floats(0, 1),
        frames=st.integers(1, 60),
        bot=st.sampled_from(list(BotState)),
    )
    def hear(self, probability: float, frames: int, bot: BotState) -> None:
        for _ in range(frames):
            self.driver.hear(probability, 1, bot)
            self.last_frame_was_speech = probability >= RULES.speech_threshold
            self.check(may_commit=not self.last_frame_was_speech)

    @rule(speech_frames=st.integers(1, 6), silent_frames=st.integers(3, 60))
    def cough(self, speech_frames: int, silent_frames: int) -> None:
        self.hear(1.0, speech_frames, BotState.PENDING)
        self.hear(0.0, silent_frames, BotState.PENDING)

    @rule(probability=st.floats(0, 1), back=st.integers(0, 2))
    def judge(self, probability: float, back: int) -> None:
        ended = self.driver.of(SpeechEnded)
        ending = ended[-1].ending - back if ended else 0
        self.driver.decisions += self.driver.endpointer.observe_completion(
            ending, Look(self.silence_ms, probability)
        )
        self.check(may_commit=not self.last_frame_was_speech)

    @rule(probability=st.floats(0, 1), back=st.integers(0, 2))
    def read(self, probability: float, back: int) -> None:
        ended = self.driver.of(SpeechEnded)
        ending = ended[-1].ending - back if ended else 0
        self.driver.decisions += self.driver.endpointer.observe_reading(
            ending, Reading("how are you", probability)
        )
        self.check(may_commit=not self.last_frame_was_speech)

    @rule()
    def close_merge_window(self) -> None:
        self.driver.endpointer.close_merge_window()

    @rule()
    def end(self) -> None:
        self.driver.decisions += self.driver.endpointer.end_of_stream()
        self.check(may_commit=True)
        assert self.open_turn is None

    def check(self, *, may_commit: bool) -> None:
        fresh = self.driver.decisions[self.seen :]
        self.seen = len(self.driver.decisions)
        for decision in fresh:
            assert decision.at_s >= self.last_at_s
            self.last_at_s = decision.at_s
            match decision:
                case SpeechStarted():
                    assert self.open_turn is None
                    assert decision.speech_start_s <= decision.at_s
                    assert decision.continues in {None, decision.turn - 1}
                    self.open_turn = decision.turn
                    self.continues = decision.continues
                case TurnCommitted() | TurnDismissed():
                    if isinstance(decision, TurnDismissed):
                        assert self.continues is None, "what was a turn before is none no more"
                    assert may_commit, "no commit while speech goes on"
                    assert decision.turn == self.open_turn
                    self.open_turn = None
                case _:
                    assert decision.turn == self.open_turn

    @invariant()
    def agrees_about_being_open(self) -> None:
        assert self.driver.endpointer.is_open == (self.open_turn is not None)


class FusedMachine(EndpointerMachine):
    waiting = FusedWait()


class SmartTurnMachine(EndpointerMachine):
    waiting = SmartTurnWait()


class SilenceMachine(EndpointerMachine):
    waiting = SilenceWait()


TestEndpointerMachine = EndpointerMachine.TestCase
TestFusedMachine = FusedMachine.TestCase
TestSmartTurnMachine = SmartTurnMachine.TestCase
TestSilenceMachine = SilenceMachine.TestCase
