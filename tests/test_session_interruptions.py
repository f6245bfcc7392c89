"""Speech over the bot: interruptions, acknowledgements and noises, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations import RATE_HZ, Conversation, converse, scripted, speech, tone
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.protocols import TextPiece, Transcript
from voicebot.engines.scripted import FailAt, ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad
from voicebot.errors import EngineError
from voicebot.events import BargedIn, Outcome, ReplyHeld, ReplyResumed, TurnClosed
from voicebot.history import History
from voicebot.session import Session, SessionRules
from voicebot.turns.endpointer import EndpointerRules
from voicebot.turns.interruption import InterruptionRules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from voicebot.engines.protocols import Message, Prefilled

    Run = Callable[[Any], Any]

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
REPLY = f"{WORDS}."
WORD_S = 0.2


class TurnByTurnAsr(ScriptedAsr):
    """Understands a given text in each turn, however long the turn is."""

    def __init__(self, *texts: str, latency_s: float = 0.01, fail_at: FailAt | None = None) -> None:
        super().__init__(latency_s=latency_s, fail_at=fail_at)
        self._texts = list(texts)
        self._turn = -1

    def start(self, on_partial: Callable[[str], None]) -> None:
        self._turn += 1
        super().start(on_partial)

    def _text(self) -> str:
        return self._texts[min(self._turn, len(self._texts) - 1)]

    async def finish(self) -> Transcript:
        transcript = await super().finish()
        assert transcript.text == self._text()
        return transcript


def spoken_over(
    *intrusions: tuple[float, float, str], stages: dict[str, Any] | None = None, listen_s: float = 8
) -> Any:
    """A question, answered by fourteen words, and intrusions (start, length, text)."""
    asr = TurnByTurnAsr("count", *(text for _, _, text in intrusions))
    replaced = {
        "asr": asr,
        "llm": ScriptedLlm({"count": REPLY}, default="fine then."),
        **(stages or {}),
    }
    clips = [(0.5, speech(1.0)), *((at_s, tone(length_s)) for at_s, length_s, _ in intrusions)]
    return converse(clips, stages=scripted(**replaced), listen_s=listen_s)


def words_sounded(talk: Conversation) -> float:
    return sum(end - start for start, end in talk.bot_spans) / WORD_S


def assert_silent_within(talk: Conversation, onset_s: float, until_s: float) -> None:
    for start_s, end_s in talk.bot_spans:
        assert not (start_s < until_s and end_s > onset_s + 0.2)


@pytest.mark.parametrize(
    ("text", "outcome"), [("okay", Outcome.ACKNOWLEDGED), ("", Outcome.DISMISSED)]
)
@pytest.mark.parametrize("at_s", [3.2, 3.3, 3.4, 4.0])
@pytest.mark.parametrize("length_s", [0.2, 0.4])
def test_the_reply_goes_on_where_it_was(
    virtual_time: Run, text: str, outcome: Outcome, at_s: float, length_s: float
) -> None:
    talk = virtual_time(spoken_over((at_s, length_s, text)))
    intrusion, question = talk.closed
    assert intrusion.outcome is outcome
    assert intrusion.transcript == text
    assert question.outcome is Outcome.ANSWERED
    assert question.heard == question.reply == REPLY
    assert not talk.of(BargedIn)
    assert [each.heard_text for each in talk.history.exchanges] == [REPLY]
    (held,), (resumed,) = talk.of(ReplyHeld), talk.of(ReplyResumed)
    assert_silent_within(talk, talk.starts_s[1], talk.starts_s[1] + length_s)
    silent_s = resumed.at_s - (talk.starts_s[1] + length_s)
    assert 0.25 < silent_s < 0.4
    cut_words = ((held.silent_from_s - talk.bot_spans[0][0]) / WORD_S) % 1
    assert words_sounded(talk) == pytest.approx(len(WORDS.split()) + cut_words, abs=0.15)


def test_the_first_sound_of_the_reply_stays_what_it_was(virtual_time: Run) -> None:
    alone = virtual_time(spoken_over())
    talk = virtual_time(spoken_over((3.5, 0.3, "right")))
    before, after = alone.closed[0].timeline, talk.closed[1].timeline
    first_s = {mark: at_s - alone.starts_s[0] for mark, at_s in before.marks.items()}
    assert {m: at_s - talk.starts_s[0] for m, at_s in after.marks.items()} == pytest.approx(first_s)


@pytest.mark.parametrize(
    ("length_s", "text"), [(0.3, "stop"), (0.3, "okay stop"), (1.2, "okay"), (1.2, "")]
)
def test_an_interruption_is_yielded_to(virtual_time: Run, length_s: float, text: str) -> None:
    talk = virtual_time(spoken_over((3.5, length_s, text)))
    question, interruption = talk.closed
    (barged_in,) = talk.of(BargedIn)
    assert barged_in.silent_from_s - talk.starts_s[1] < 0.2
    assert question.outcome is Outcome.ANSWERED
    assert REPLY.startswith(question.heard)
    assert len(question.heard) < len(REPLY)
    assert not talk.of(ReplyResumed)
    assert interruption.outcome is (Outcome.ANSWERED if text else Outcome.DISMISSED)
    assert talk.history.exchanges[0].heard_text == question.heard
    assert len(talk.history.exchanges) == (2 if text else 1)
    sounded_s = barged_in.silent_from_s - talk.bot_spans[0][0]
    assert len(question.heard.split()) == int(sounded_s / WORD_S + 0.01)


def test_several_acknowledgements_and_an_interruption(virtual_time: Run) -> None:
    talk = virtual_time(spoken_over((3.1, 0.3, "mm hm"), (3.9, 0.3, "yeah"), (4.7, 0.5, "no wait")))
    outcomes = [closed.outcome.value for closed in talk.closed]
    assert outcomes == ["acknowledged", "acknowledged", "answered", "answered"]
    question = talk.closed[2]
    assert question.turn == 1
    assert [e.user_text for e in talk.history.exchanges] == ["count", "no wait"]
    assert talk.history.exchanges[0].heard_text == question.heard
    # Each word once, to the word that was cut last.
    assert REPLY.startswith(question.heard)
    assert 5 <= len(question.heard.split()) < 14


def test_the_reply_is_written_on_while_it_is_held(virtual_time: Run) -> None:
    slow = ScriptedLlm({"count": "one two three, four five six, seven eight nine."}, token_s=0.3)
    talk = virtual_time(spoken_over((3.4, 0.6, "okay"), stages={"llm": slow}))
    assert talk.closed[-1].heard == talk.closed[-1].reply
    assert [closed.outcome.value for closed in talk.closed] == ["acknowledged", "answered"]


@pytest.mark.parametrize("step", range(12))
def test_a_hold_at_the_end_of_the_reply(virtual_time: Run, step: int) -> None:
    alone = virtual_time(spoken_over())
    end_s = alone.bot_spans[-1][1] - alone.starts_s[0] + 0.5
    at_s = end_s - 0.3 + 0.03 * step
    talk = virtual_time(spoken_over((at_s, 0.2, "okay")))
    first = next(closed for closed in talk.closed if closed.turn == 1)
    assert first.heard == REPLY
    assert words_sounded(talk) >= 13.9


def test_an_acknowledgement_in_two_parts(virtual_time: Run) -> None:
    """The second part begins before the first is understood."""
    asr = TurnByTurnAsr("count", "okay", "okay", latency_s=0.08)
    talk = virtual_time(
        converse(
            [(0.5, speech(1.0)), (3.5, speech(0.2, 0.14, 0.2))],
            stages=scripted(asr=asr, llm=ScriptedLlm({"count": REPLY})),
        )
    )
    assert talk.closed[-1].turn == 1
    assert talk.closed[-1].heard == REPLY
    assert {c.outcome for c in talk.closed[:-1]} == {Outcome.ACKNOWLEDGED}


@pytest.mark.parametrize("listen_s", [-0.35, -0.2, -0.05, 0.05, 0.1, 0.12])
@pytest.mark.parametrize(("text", "is_heard"), [("okay", True), ("stop", False)])
def test_the_source_ends_while_the_reply_is_held(
    virtual_time: Run, listen_s: float, text: str, is_heard: bool
) -> None:
    talk = virtual_time(spoken_over((3.5, 0.4, text), listen_s=listen_s))
    question = next(closed for closed in talk.closed if closed.turn == 1)
    assert question.outcome is Outcome.ANSWERED
    if talk.of(ReplyHeld):
        assert (question.heard == REPLY) is is_heard
    assert len({closed.turn for closed in talk.closed}) == len(talk.closed)


def test_a_recogniser_that_fails_at_the_intrusion_lets_the_reply_go_on(virtual_time: Run) -> None:
    deaf = TurnByTurnAsr("count", "", fail_at=FailAt(2, EngineError("broke")))
    talk = virtual_time(spoken_over((3.5, 0.3, ""), stages={"asr": deaf}))
    intrusion, question = talk.closed
    assert intrusion.outcome is Outcome.DISMISSED
    assert intrusion.failure == "broke"
    assert question.heard == REPLY


@pytest.mark.parametrize("after_s", [1.4, 1.7, 1.9, 2.0, 2.3])
@pytest.mark.parametrize("text", ["okay", "stop"])
def test_a_reply_that_fails_while_it_is_held(virtual_time: Run, after_s: float, text: str) -> None:
    class Failing(ScriptedLlm):
        async def generate(
            self, messages: Sequence[Message]
        ) -> AsyncGenerator[Prefilled | TextPiece, None]:
            if messages[-1].content != "count":
                async for piece in super().generate(messages):
                    yield piece
                return
            yield TextPiece(f"{WORDS}. ", tokens=14)
            await asyncio.sleep(after_s)
            raise EngineError("broke")

    talk = virtual_time(spoken_over((3.15, 0.5, text), stages={"llm": Failing(default="fine.")}))
    question = next(closed for closed in talk.closed if closed.turn == 1)
    intrusion = next(closed for closed in talk.closed if closed.turn == 2)
    assert question.outcome is Outcome.ANSWERED
    if text == "okay":
        assert intrusion.outcome is Outcome.ACKNOWLEDGED
        assert question.failure == "broke"
        assert question.heard.startswith(f"{WORDS}. Sorry")
        assert question.heard == question.reply
    else:
        assert intrusion.outcome is Outcome.ANSWERED
        assert intrusion.heard == "fine."
        assert len(question.heard.split()) < 14


def test_voice_activity_that_fails_for_good_during_a_hold_ends_cleanly(virtual_time: Run) -> None:
    class Breaking(ScriptedVad):
        frames = 0

        async def probability(self, frame: Any) -> float:
            self.frames += 1
            if self.frames > 3.8 / 0.032:
                raise EngineError("gone")
            return await super().probability(frame)

    events: list[Any] = []

    async def main() -> None:
        microphone = VirtualMicrophone(block_ms=10)
        speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
        stages = scripted(
            vad=Breaking(), asr=TurnByTurnAsr("count", ""), llm=ScriptedLlm({"count": REPLY})
        )
        session = Session(
            microphone,
            speaker,
            stages,
            history=History("", max_tokens=1000),
            rules=SessionRules(interruption=InterruptionRules(5000)),
            notify=events.append,
        )
        microphone.play(speech(1.0), not_before_s=0.5)
        microphone.play(tone(8.0), not_before_s=3.4)
        with pytest.raises(EngineError, match="gone"):
            await session.run()

    virtual_time(main())
    assert any(isinstance(event, ReplyHeld) for event in events)
    closed = [event for event in events if isinstance(event, TurnClosed)]
    assert sorted(each.turn for each in closed) == [1, 2]
    assert {each.turn: each.outcome for each in closed}[1] is Outcome.ANSWERED


def test_a_click_shorter_than_a_turn_lets_the_reply_go_on(virtual_time: Run) -> None:
    rules = SessionRules(endpointer=EndpointerRules(barge_in_ms=32, min_speech_ms=100))
    stages = scripted(asr=TurnByTurnAsr("count", ""), llm=ScriptedLlm({"count": REPLY}))
    talk = virtual_time(
        converse([(0.5, speech(1.0)), (3.5, tone(0.05))], stages=stages, rules=rules)
    )
    assert talk.of(ReplyResumed)
    assert [closed.outcome.value for closed in talk.closed] == ["dismissed", "answered"]
    assert talk.closed[-1].heard == REPLY


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 1.2),
            st.floats(0.03, 1.0),
            st.sampled_from(["", "okay", "mm hm yeah", "stop", "tell me more"]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([0.002, 0.05, 0.3]),
)
def test_whatever_is_said_over_the_bot_nothing_is_lost_or_left_open(
    virtual_time: Run, intrusions: Sequence[tuple[float, float, str]], tts_latency_s: float
) -> None:
    """Each turn closes once; what stands in the history was heard, in order and only once."""
    at_s, placed = 3.1, []
    for gap_s, length_s, text in intrusions:
        at_s += gap_s
        placed.append((at_s, length_s, text))
        at_s += length_s
    talk = virtual_time(spoken_over(*placed, stages={"tts": ScriptedTts(latency_s=tts_latency_s)}))
    turns = [closed.turn for closed in talk.closed]
    assert sorted(turns) == list(range(1, len(turns) + 1))
    held, barged_in, resumed = (talk.of(kind) for kind in (ReplyHeld, BargedIn, ReplyResumed))
    assert len(held) <= len(barged_in) + len(resumed)
    heard = {each.turn: each.heard_text for each in talk.history.exchanges}
    for closed in talk.closed:
        if closed.outcome in (Outcome.ACKNOWLEDGED, Outcome.DISMISSED):
            assert closed.turn not in heard
            assert not closed.heard
        if closed.outcome is Outcome.ANSWERED:
            assert closed.reply.startswith(closed.heard)
            assert heard[closed.turn] == closed.heard


class AppendingAsr(ScriptedAsr):
    """Understands a given text in each stretch of speech, and goes on in the same turn."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self._texts = list(texts)
        self._heard: list[str] = []

    def start(self, on_partial: Callable[[str], None]) -> None:
        self._heard.clear()
        super().start(on_partial)

    def _text(self) -> str:
        return " ".join(self._heard)

    async def finish(self) -> Transcript:
        await super().finish()
        self._heard.append(self._texts.pop(0))
        return Transcript(" ".join(self._heard), final=True)


@pytest.mark.parametrize("text", ["okay", "mm hm"])
@pytest.mark.parametrize("pause_s", [0.6, 0.9])
def test_an_acknowledgement_right_after_the_turn_neither_stops_nor_repeats_the_reply(
    virtual_time: Run, text: str, pause_s: float
) -> None:
    stages = scripted(asr=AppendingAsr("count", text), llm=ScriptedLlm({"count": REPLY}))
    talk = virtual_time(converse([(0.5, speech(1.0, pause_s, 0.25))], stages=stages))
    intrusion, question = talk.closed
    assert intrusion.outcome is Outcome.ACKNOWLEDGED
    assert question.outcome is Outcome.ANSWERED
    assert question.heard == question.reply == REPLY
    assert not talk.of(BargedIn)
    assert [each.heard_text for each in talk.history.exchanges] == [REPLY]


def test_who_goes_on_right_after_the_commit_is_answered_as_a_whole(virtual_time: Run) -> None:
    llm = ScriptedLlm({"count": REPLY}, default="fine then.")
    stages = scripted(asr=AppendingAsr("count", "backwards from a hundred please"), llm=llm)
    talk = virtual_time(converse([(0.5, speech(1.0, 0.6, 1.2))], stages=stages))
    merged, whole = talk.closed
    assert merged.outcome is Outcome.MERGED
    assert whole.transcript == "count backwards from a hundred please"
    assert whole.heard == "fine then."
    assert talk.of(BargedIn)
    assert [each.user_text for each in talk.history.exchanges] == [whole.transcript]
    assert_silent_within(talk, talk.starts_s[0] + 1.6, talk.starts_s[0] + 2.8)


def test_an_acknowledgement_that_opens_a_sentence_keeps_the_bot_silent(virtual_time: Run) -> None:
    asr = AppendingAsr("count", "okay", "what about rome")
    stages = scripted(asr=asr, llm=ScriptedLlm({"count": REPLY}, default="fine then."))
    clips = [(0.5, speech(1.0)), (3.5, speech(0.25, 0.2, 1.0))]
    talk = virtual_time(converse(clips, stages=stages))
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED, Outcome.ANSWERED]
    assert talk.closed[1].transcript == "okay what about rome"
    assert_silent_within(talk, talk.starts_s[1], talk.starts_s[1] + 1.45)


def test_yes_to_a_question_is_an_answer(virtual_time: Run) -> None:
    ask = "one two three four five six seven eight nine ten shall I go on?"
    asr = TurnByTurnAsr("count", "yes")
    stages = scripted(asr=asr, llm=ScriptedLlm({"count": ask, "yes": "so I do."}))
    talk = virtual_time(converse([(0.5, speech(1.0)), (4.0, tone(0.3))], stages=stages))
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED, Outcome.ANSWERED]
    assert talk.closed[1].reply == "so I do."
