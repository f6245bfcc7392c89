"""Whole conversations with scripted stages, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conversations import RATE_HZ, converse, scripted, silence, speech, tone
from voicebot.engines.scripted import (
    FailAt,
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.errors import EngineError
from voicebot.events import (
    BargedIn,
    CommitReason,
    DraftDropped,
    Outcome,
    SpeechEnded,
    SpeechResumed,
    StageFailed,
    TurnCommitted,
)
from voicebot.reply import ReplyRules
from voicebot.session import SessionRules
from voicebot.timeline import Mark, break_down, won_by_draft_s
from voicebot.turns.endpointer import EndpointerRules
from voicebot.turns.waits import FusedWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples

    Run = Callable[[Any], Any]


def test_a_question_is_answered_aloud(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))]))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.transcript == "word0 word1 word2 word3"
    assert closed.heard == closed.reply == "That is a good question. I think it is so."
    assert talk.bot_spans
    assert talk.underruns == 0
    assert [message.content for message in talk.history.messages()] == [
        closed.transcript,
        closed.heard,
    ]


def test_the_breakdown_sums_to_what_the_waveform_says(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))]))
    true_end_s = talk.starts_s[0] + 1.0
    audible_s = talk.bot_spans[0][0]
    breakdown = break_down(talk.closed[0].timeline, end_s=true_end_s, audible_s=audible_s)
    assert breakdown is not None
    assert breakdown.total_ms == pytest.approx((audible_s - true_end_s) * 1000)
    assert breakdown.unattributed == pytest.approx(0, abs=1)
    assert breakdown.output == pytest.approx(25, abs=6)


def test_a_sure_turn_commits_after_the_sure_wait_and_hides_the_work(virtual_time: Run) -> None:
    stages = scripted(llm=ScriptedLlm(prefill_s=0.01, token_s=0.005))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=stages))
    (committed,) = talk.of(TurnCommitted)
    assert committed.reason is CommitReason.SURE
    assert 200 <= (committed.at_s - committed.speech_end_s) * 1000 <= 240
    breakdown = break_down(
        talk.closed[0].timeline, end_s=talk.starts_s[0] + 1.0, audible_s=talk.bot_spans[0][0]
    )
    assert breakdown is not None
    assert breakdown.llm == 0
    assert breakdown.asr == 0


def test_slow_work_behind_a_short_wait_is_on_the_critical_path(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=scripted(llm=ScriptedLlm(prefill_s=0.6)))
    )
    breakdown = break_down(
        talk.closed[0].timeline, end_s=talk.starts_s[0] + 1.0, audible_s=talk.bot_spans[0][0]
    )
    assert breakdown is not None
    assert breakdown.llm > 600
    assert breakdown.asr == pytest.approx(10, abs=1)
    assert breakdown.unattributed == pytest.approx(0, abs=2)


def test_a_pause_before_the_commit_is_waited_for(virtual_time: Run) -> None:
    stages = scripted(turn_detector=ScriptedTurnDetector([0.1]))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.6, 1.0))], stages=stages))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.transcript.split()[-1] == "word6"
    assert len(talk.of(SpeechEnded)) == 2
    assert len(talk.of(SpeechResumed)) == 1
    assert closed.drafts_discarded == len(talk.of(DraftDropped)) == 1
    assert talk.bot_spans[0][0] > talk.starts_s[0] + 2.35


def test_a_dropped_draft_is_never_heard_and_never_in_the_history(virtual_time: Run) -> None:
    stages = scripted(turn_detector=ScriptedTurnDetector([0.1]))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.6, 1.0))], stages=stages))
    assert len(talk.history.exchanges) == 1
    heard = sum(end - start for start, end in talk.bot_spans)
    assert heard == pytest.approx(len(talk.closed[0].reply.split()) * 0.2, abs=0.1)


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 0.8, 1.2])
def test_going_on_after_the_commit_merges_the_turns(virtual_time: Run, pause_s: float) -> None:
    """The detector is wrongly sure: the bot commits in the pause, then must yield and merge."""
    talk = virtual_time(converse([(0.5, speech(0.75, pause_s, 1.0))]))
    first, second = talk.closed
    assert first.outcome is Outcome.MERGED
    assert second.outcome is Outcome.ANSWERED
    assert second.transcript == "word0 word1 word2 word3 word4 word5 word6"
    assert [exchange.user_text for exchange in talk.history.exchanges] == [second.transcript]
    true_end_s = talk.starts_s[0] + 0.75 + pause_s + 1.0
    spoken_after = [span for span in talk.bot_spans if span[0] > true_end_s]
    assert spoken_after
    onset_s = talk.starts_s[0] + 0.75 + pause_s
    for start_s, end_s in talk.bot_spans:
        if start_s < onset_s:
            assert end_s < onset_s + 0.3


def test_a_barge_in_silences_the_bot_and_keeps_what_was_heard(virtual_time: Run) -> None:
    stages = scripted(llm=ScriptedLlm(default="one two three four five six seven eight nine ten."))
    talk = virtual_time(converse([(0.5, speech(1.0)), (3.2, speech(0.5))], stages=stages))
    first, second = talk.closed
    (barged_in,) = talk.of(BargedIn)
    assert first.outcome is Outcome.ANSWERED
    assert second.outcome is Outcome.ANSWERED
    assert barged_in.silent_from_s - talk.starts_s[1] < 0.25
    assert first.heard
    assert first.reply.startswith(first.heard)
    assert len(first.heard) < len(first.reply)
    assert talk.history.exchanges[0].heard_text == first.heard
    spoken_s = barged_in.silent_from_s - talk.bot_spans[0][0]
    assert len(first.heard.split()) == pytest.approx(spoken_s / 0.2, abs=1.1)


@pytest.mark.parametrize("onset_s", [round(1.55 + 0.1 * step, 2) for step in range(40)])
def test_a_user_who_speaks_at_any_stage_of_the_reply_is_heard(
    virtual_time: Run, onset_s: float
) -> None:
    """Barge-in while transcribing, thinking, speaking, playing, and after it."""
    talk = virtual_time(converse([(0.5, speech(1.0)), (onset_s, speech(0.6))]))
    assert talk.closed[-1].outcome is Outcome.ANSWERED
    turns = [closed.turn for closed in talk.closed]
    assert turns == sorted(set(turns))
    last_end_s = talk.starts_s[-1] + 0.6
    assert any(start > last_end_s for start, _ in talk.bot_spans)
    for start, end in talk.bot_spans:
        assert not (start < talk.starts_s[-1] and end > talk.starts_s[-1] + 0.3)


@pytest.mark.parametrize("stage", ["asr", "llm", "tts"])
@pytest.mark.parametrize("hangs", [False, True])
def test_a_failing_stage_costs_one_turn_and_not_the_session(
    virtual_time: Run, stage: str, hangs: bool
) -> None:
    error = EngineError(f"{stage} broke")
    made = {"asr": ScriptedAsr, "llm": ScriptedLlm, "tts": ScriptedTts}[stage]
    stages = scripted(**{stage: made(fail_at=FailAt(1, None if hangs else error))})
    talk = virtual_time(converse([(0.5, speech(1.0)), (9.0, speech(1.0))], stages=stages))
    first, second = talk.closed
    assert second.outcome is Outcome.ANSWERED
    assert second.failure is None
    if not hangs:
        assert first.failure == str(error)
        assert talk.of(StageFailed)[0].error is error
        assert talk.bot_spans[0][0] < 8.0, "the bot apologises aloud"


def test_a_failing_turn_detector_falls_back_to_the_plain_rule(virtual_time: Run) -> None:
    detector = ScriptedTurnDetector(fail_at=FailAt(1, EngineError("broke")))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=scripted(turn_detector=detector)))
    assert talk.closed[0].outcome is Outcome.ANSWERED


def test_one_failing_voice_activity_frame_does_not_end_the_session(virtual_time: Run) -> None:
    vad = ScriptedVad(fail_at=FailAt(5, EngineError("broke")))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=scripted(vad=vad)))
    assert talk.closed[0].outcome is Outcome.ANSWERED
    assert len(talk.of(StageFailed)) == 1


def test_an_empty_transcript_is_dismissed_in_silence(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=scripted(asr=ScriptedAsr(word_s=100)))
    )
    (closed,) = talk.closed
    assert closed.outcome is Outcome.DISMISSED
    assert not talk.bot_spans
    assert not talk.history.exchanges


def test_silence_opens_no_turn(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, silence(10.0))]))
    assert not talk.events


def test_clicks_are_dismissed_in_silence(virtual_time: Run) -> None:
    clicks = np.concatenate([np.concatenate([tone(0.03), silence(0.4)]) for _ in range(10)])
    talk = virtual_time(converse([(0.5, clicks)]))
    assert {closed.outcome for closed in talk.closed} == {Outcome.DISMISSED}
    assert not talk.bot_spans
    assert not talk.of(SpeechEnded)


def test_a_monologue_is_one_turn(virtual_time: Run) -> None:
    stages = scripted(turn_detector=ScriptedTurnDetector([0.1]))
    sentences = [part for _ in range(12) for part in (4.6, 0.4)]
    talk = virtual_time(converse([(0.5, speech(*sentences))], stages=stages))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert len(closed.transcript.split()) > 200


def test_speech_without_any_pause_is_never_committed(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(70.0))]))
    assert talk.of(TurnCommitted)[0].at_s > 70.5


def test_two_callers_in_a_row_are_two_turns(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0)), (6.0, speech(0.5)), (11.0, speech(0.5))]))
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED] * 3
    assert len(talk.history.exchanges) == 3


def test_an_empty_reply_is_admitted_aloud(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0))], stages=scripted(llm=ScriptedLlm(default="***")))
    )
    assert talk.closed[0].outcome is Outcome.ANSWERED
    assert talk.bot_spans


def test_the_end_of_the_stream_ends_what_is_open(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))], listen_s=-0.2))
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED]


def test_first_clause_rules_reach_the_reply(virtual_time: Run) -> None:
    tts = ScriptedTts()
    virtual_time(
        converse(
            [(0.5, speech(1.0))],
            stages=scripted(tts=tts),
            rules=SessionRules(reply=ReplyRules(clause_max_characters=12)),
        )
    )
    assert max(len(text) for text in tts.spoken) <= 12


def test_the_recogniser_is_given_the_sound_before_the_onset(virtual_time: Run) -> None:
    class Listening(ScriptedAsr):
        fed: list[Samples]

        def start(self, on_partial: Callable[[str], None]) -> None:
            super().start(on_partial)
            self.fed = []

        def feed(self, samples: Samples) -> None:
            super().feed(samples)
            self.fed.append(samples)

    asr = Listening()
    soft_start = 0.005 * tone(0.2) / 0.3  # too soft for the scripted voice activity
    clip = np.concatenate([soft_start, tone(1.0)])
    virtual_time(converse([(0.5, clip)], stages=scripted(asr=asr)))
    first_s = sum(len(part) for part in asr.fed[:1]) / RATE_HZ
    assert first_s == pytest.approx(0.32 + 0.064, abs=0.05)
    assert np.count_nonzero(np.abs(asr.fed[0]) > 0.001) > 0.15 * RATE_HZ, "the soft start, too"


def test_what_a_merged_draft_had_cost_is_counted(virtual_time: Run) -> None:
    talk = virtual_time(converse([(0.5, speech(0.75, 0.8, 1.0))]))
    merged = talk.closed[0]
    assert merged.outcome is Outcome.MERGED
    assert merged.drafts_discarded == 1
    assert merged.discarded_tokens > 0


def test_partial_transcripts_are_read_ahead(virtual_time: Run) -> None:
    llm = ScriptedLlm()
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=scripted(llm=llm)))
    texts = [messages[-1].content for messages in llm.prepared if messages]
    assert texts
    assert all(talk.closed[0].transcript.startswith(text) for text in texts)
    silent = ScriptedLlm()
    rules = SessionRules(read_ahead=False)
    virtual_time(converse([(0.5, speech(1.0))], stages=scripted(llm=silent), rules=rules))
    assert not silent.prepared


def test_reading_ahead_takes_a_breath_between_guesses(virtual_time: Run) -> None:
    class Guessing(ScriptedAsr):
        """Has another guess at every block."""

        guesses = 0

        def start(self, on_partial: Callable[[str], None]) -> None:
            super().start(lambda _: None)
            self._guess = on_partial

        def feed(self, samples: Samples) -> None:
            super().feed(samples)
            self.guesses += 1
            self._guess(f"guess {self.guesses}")

    asr, llm = Guessing(), ScriptedLlm()
    virtual_time(converse([(0.5, speech(2.0))], stages=scripted(asr=asr, llm=llm)))
    read = [messages[-1].content for messages in llm.prepared if messages]
    assert asr.guesses > 150
    assert 5 <= len(read) <= 9, "every 250 ms of about two seconds"


def test_without_drafts_nothing_is_written_before_the_commit(virtual_time: Run) -> None:
    rules = SessionRules(reply=ReplyRules(drafts=False))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.13, 1.0))], rules=rules))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.heard == closed.reply
    assert closed.discarded_tokens == 0
    (committed,) = talk.of(TurnCommitted)
    assert committed.reason is CommitReason.SURE, "the words are read all the same"
    assert closed.timeline.marks[Mark.FIRST_TOKEN] > committed.at_s
    breakdown = break_down(
        closed.timeline, end_s=talk.starts_s[0] + 1.88, audible_s=talk.bot_spans[0][0]
    )
    assert breakdown is not None
    assert breakdown.asr == 0, "that was done before the commit"
    assert breakdown.llm > 0
    assert breakdown.unattributed == pytest.approx(0, abs=1)
    assert won_by_draft_s(closed.timeline) is None


def test_the_fused_rule_holds_a_conversation(virtual_time: Run) -> None:
    rules = SessionRules(endpointer=EndpointerRules(waiting=FusedWait()))
    stages = scripted(turn_detector=ScriptedTurnDetector([0.02, 0.02, 0.02, 0.99]))
    talk = virtual_time(converse([(0.5, speech(1.0, 0.5, 1.0))], stages=stages, rules=rules))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert len(closed.transcript.split()) == 8
