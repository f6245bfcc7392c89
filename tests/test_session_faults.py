"""What goes wrong in a conversation, at the worst of moments, in virtual time.

Some faults need two things in one turn of the event loop. ``MeetingVad`` arranges that: at the
frame with which the endpointer decides, it lets the other thing happen a few steps before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conversations import (
    RATE_HZ,
    Conversation,
    converse,
    scripted,
    speech,
    tone,
)
from voicebot import reply as reply_module
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.protocols import (
    Message,
    Prefilled,
    SpeechChunk,
    TextPiece,
    Transcript,
)
from voicebot.engines.scripted import (
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.errors import DeviceError, EngineError
from voicebot.events import (
    BargedIn,
    ClauseSpoken,
    DraftDropped,
    Outcome,
    PartialTranscript,
    SpeechResumed,
    SpeechStarted,
    StageFailed,
    TurnClosed,
)
from voicebot.session import Session, SessionRules
from voicebot.timeline import break_down

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples
    from voicebot.stages import Stages

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

FRAME_S = 512 / RATE_HZ
APOLOGY = "Sorry, something went wrong. Please say that again."
ANSWER = "That is a good question. I think it is so."
QUESTION = "word0 word1 word2 word3"
NEVER = 10**9


class MeetingVad(ScriptedVad):
    """Sets an event at a frame, so many steps of the loop before it tells of speech there."""

    def __init__(self, event: asyncio.Event, *, frame: int, steps: int) -> None:
        super().__init__()
        self._event = event
        self._frame = frame
        self._steps = steps
        self._count = 0

    async def probability(self, frame: Samples) -> float:
        probability = await super().probability(frame)
        self._count += 1
        if self._count == self._frame:
            self._event.set()
            for _ in range(self._steps):
                await asyncio.sleep(0)
        return probability


def frame_at(at_s: float) -> int:
    """The number of the frame, from 1, that ends at ``at_s``."""
    return round(at_s / FRAME_S)


class FailingLlm(ScriptedLlm):
    """Says ``opening`` at its first call, then fails when it is told to; later calls work."""

    def __init__(self, opening: str = "", error: Exception | None = None) -> None:
        super().__init__()
        self._opening = opening
        self._error = error or EngineError("llm broke")
        self.fail_now = asyncio.Event()

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        self._calls += 1
        if self._calls > 1:
            async for piece in super().generate(messages):
                yield piece
            return
        yield Prefilled(0.5, 1, 0)
        if self._opening:
            yield TextPiece(self._opening, tokens=10)
        await self.fail_now.wait()
        raise self._error


class FailingLater(FailingLlm):
    """Fails so long after its opening."""

    def __init__(self, opening: str, *, after_s: float) -> None:
        super().__init__(opening)
        self._after_s = after_s

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        asyncio.get_running_loop().call_later(self._after_s, self.fail_now.set)
        async for piece in super().generate(messages):
            yield piece


# A stage fails as its draft is dropped.


async def dropped_as_it_fails(*, frame: int, steps: int) -> Conversation:
    llm = FailingLlm()
    stages = scripted(
        llm=llm,
        vad=MeetingVad(llm.fail_now, frame=frame, steps=steps),
        turn_detector=ScriptedTurnDetector([0.1]),
    )
    return await converse([(0.5, speech(0.75, 0.6, 1.0))], stages=stages)


@pytest.mark.parametrize("steps", range(8))
def test_a_draft_that_fails_as_it_is_dropped_does_not_apologise(
    virtual_time: Run, steps: int
) -> None:
    undisturbed = virtual_time(dropped_as_it_fails(frame=NEVER, steps=0))
    (resumed,) = undisturbed.of(SpeechResumed)
    talk = virtual_time(dropped_as_it_fails(frame=frame_at(resumed.at_s), steps=steps))
    assert len(talk.of(DraftDropped)) == 1
    (closed,) = talk.closed
    assert (closed.outcome, closed.failure) == (Outcome.ANSWERED, None)
    assert closed.reply == closed.heard == ANSWER
    assert [clause.text.strip() for clause in talk.of(ClauseSpoken)] == [
        "That is a good question.",
        "I think it is so.",
    ]
    assert [exchange.heard_text for exchange in talk.history.exchanges] == [ANSWER]


# Sound arrives as the bot is silenced.


class LateTts(ScriptedTts):
    """Holds its second text back until it is told to speak, then speaks three seconds at once."""

    def __init__(self) -> None:
        super().__init__()
        self.speak_now = asyncio.Event()

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        if len(self.spoken) == 1:
            self.spoken.append(text)
            await self.speak_now.wait()
            yield SpeechChunk(tone(3.0))
            return
        async for chunk in super().synthesise(text):
            yield chunk


async def barged_in_as_sound_arrives(*, frame: int, steps: int) -> Conversation:
    tts = LateTts()
    stages = scripted(
        tts=tts,
        vad=MeetingVad(tts.speak_now, frame=frame, steps=steps),
        llm=ScriptedLlm(default="one two three. four five six seven."),
    )
    return await converse([(0.5, speech(1.0)), (2.6, speech(2.5))], stages=stages)


@pytest.mark.parametrize("steps", range(8))
def test_nothing_sounds_after_the_user_barged_in(virtual_time: Run, steps: int) -> None:
    undisturbed = virtual_time(barged_in_as_sound_arrives(frame=NEVER, steps=0))
    frame = frame_at(undisturbed.of(SpeechStarted)[1].at_s)
    talk = virtual_time(barged_in_as_sound_arrives(frame=frame, steps=steps))
    user_until_s = talk.starts_s[1] + 2.5
    limit_s = talk.of(SpeechStarted)[1].at_s + 0.1
    assert talk.bot_spans
    assert not [span for span in talk.bot_spans if span[0] < user_until_s and span[1] > limit_s]


# A noise while the reply is pending.


@pytest.mark.parametrize("cough_s", [0.064, 0.08, 0.096, 0.11, 0.14])
@pytest.mark.parametrize("at_s", [1.75, 1.9, 2.1])
def test_a_cough_while_the_reply_is_pending_does_not_lose_the_question(
    virtual_time: Run, cough_s: float, at_s: float
) -> None:
    stages = scripted(llm=ScriptedLlm(prefill_s=0.8))
    talk = virtual_time(converse([(0.5, speech(1.0)), (at_s, tone(cough_s))], stages=stages))
    last = talk.closed[-1]
    assert last.outcome is Outcome.ANSWERED
    assert last.transcript.startswith(QUESTION)
    assert talk.bot_spans
    assert [exchange.user_text for exchange in talk.history.exchanges] == [last.transcript]


# What counts as heard.


@pytest.mark.parametrize("onset_s", [3.2, 3.5, 4.0, 4.5, 5.0])
@pytest.mark.parametrize("latency_s", [0.002, 0.15, 0.5, 0.8])
def test_no_word_counts_as_heard_that_was_not_played(
    virtual_time: Run, onset_s: float, latency_s: float
) -> None:
    stages = scripted(
        tts=ScriptedTts(latency_s=latency_s),
        llm=ScriptedLlm(default="one two three four five six seven eight nine ten."),
    )
    talk = virtual_time(converse([(0.5, speech(1.0)), (onset_s, speech(0.6))], stages=stages))
    first = talk.closed[0]
    barge_ins = talk.of(BargedIn)
    until_s = barge_ins[0].silent_from_s if barge_ins else talk.starts_s[1]
    played_s = sum(end - start for start, end in talk.bot_spans if start < until_s)
    played_words = int((played_s + 0.03) / 0.2)
    heard_words = len(first.heard.split())
    assert first.reply.startswith(first.heard)
    if first.outcome is Outcome.ANSWERED:
        # The last played word may be left out: nothing tells yet where it ends.
        assert played_words - 1 <= heard_words <= played_words
        assert talk.history.exchanges[0].heard_text == first.heard


# A stage fails in the middle of the reply.

OPENING = "one two three four five six seven eight nine ten. "


def test_what_was_heard_before_a_failure_stands_beside_the_apology(virtual_time: Run) -> None:
    stages = scripted(llm=FailingLater(OPENING, after_s=1.5))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=stages))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.failure == "llm broke"
    assert closed.heard == closed.reply == OPENING + APOLOGY
    assert [exchange.heard_text for exchange in talk.history.exchanges] == [closed.heard]
    sounded_s = sum(end - start for start, end in talk.bot_spans)
    assert sounded_s == pytest.approx(0.2 * len(closed.heard.split()), abs=0.1)


@pytest.mark.parametrize("onset_s", [3.2, 3.55, 4.2])
def test_the_user_may_barge_in_over_the_rest_and_the_apology(
    virtual_time: Run, onset_s: float
) -> None:
    stages = scripted(llm=FailingLater(OPENING, after_s=1.5), tts=ScriptedTts(latency_s=0.1))
    talk = virtual_time(converse([(0.5, speech(1.0)), (onset_s, speech(0.6))], stages=stages))
    first, second = talk.closed
    (barged_in,) = talk.of(BargedIn)
    assert barged_in.turn == first.turn == 1
    assert first.outcome is second.outcome is Outcome.ANSWERED
    assert first.heard.startswith("one two three four")
    assert (OPENING + APOLOGY).startswith(first.heard)
    assert talk.history.exchanges[0].heard_text == first.heard
    silent_s = barged_in.silent_from_s + 1e-6
    assert not [span for span in talk.bot_spans if span[0] < silent_s < span[1]]


# A bug is a failure like any other.


class BuggyTts(ScriptedTts):
    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        if not self.spoken:
            self.spoken.append(text)
            raise ValueError("bug")
        async for chunk in super().synthesise(text):
            yield chunk


def buggy_text(monkeypatch: pytest.MonkeyPatch) -> Stages:
    sound = reply_module.speakable_with_spans
    calls = []

    def buggy(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise ValueError("bug")
        return sound(*arguments)

    monkeypatch.setattr(reply_module, "speakable_with_spans", buggy)
    return scripted()


def buggy_llm(_: pytest.MonkeyPatch) -> Stages:
    llm = FailingLlm(error=ValueError("bug"))
    llm.fail_now.set()
    return scripted(llm=llm)


def buggy_tts(_: pytest.MonkeyPatch) -> Stages:
    return scripted(tts=BuggyTts())


@pytest.mark.parametrize("buggy", [buggy_llm, buggy_tts, buggy_text])
def test_a_bug_costs_one_turn_and_an_apology(
    virtual_time: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    buggy: Callable[[pytest.MonkeyPatch], Stages],
) -> None:
    stages = buggy(monkeypatch)
    with caplog.at_level(logging.ERROR):
        talk = virtual_time(converse([(0.5, speech(1.0)), (8.0, speech(1.0))], stages=stages))
    first, second = talk.closed
    assert first.outcome is Outcome.ANSWERED
    assert first.heard == APOLOGY
    assert first.failure is not None
    assert "ValueError: bug" in first.failure
    assert len(talk.of(StageFailed)) == 1
    assert (second.outcome, second.failure, second.heard) == (Outcome.ANSWERED, None, ANSWER)
    (record,) = caplog.records
    assert record.exc_info is not None, "the trace of a bug is logged"


# Facts name the right turn.


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 1.2])
def test_partial_transcripts_after_a_merge_carry_the_new_turns_number(
    virtual_time: Run, pause_s: float
) -> None:
    talk = virtual_time(converse([(0.5, speech(0.75, pause_s, 1.0))]))
    assert [closed.outcome for closed in talk.closed] == [Outcome.MERGED, Outcome.ANSWERED]
    over: set[int] = set()
    told: dict[int, list[str]] = {}
    for event in talk.events:
        if isinstance(event, TurnClosed):
            over.add(event.turn)
        elif isinstance(event, PartialTranscript):
            assert event.turn not in over
            told.setdefault(event.turn, []).append(event.text)
    assert told[2][-1] == talk.closed[1].transcript


class DeafAtFirst(ScriptedAsr):
    """Understands nothing the first time it is asked."""

    async def finish(self) -> Transcript:
        transcript = await super().finish()
        return Transcript("", final=True) if self._calls == 1 else transcript


def test_no_turn_continues_one_that_was_dismissed(virtual_time: Run) -> None:
    talk = virtual_time(
        converse([(0.5, speech(0.75, 0.6, 0.75))], stages=scripted(asr=DeafAtFirst()))
    )
    assert [closed.outcome for closed in talk.closed] == [Outcome.DISMISSED, Outcome.ANSWERED]
    assert [started.continues for started in talk.of(SpeechStarted)] == [None, None]
    assert talk.closed[1].transcript == "word0 word1 word2"


@pytest.mark.parametrize("text", ["*** ... Hello there my friend.", "\U0001f600. Hello my friend."])
def test_a_first_clause_that_cannot_be_spoken_is_still_the_language_models_time(
    virtual_time: Run, text: str
) -> None:
    stages = scripted(llm=ScriptedLlm(default=text, token_s=0.1))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=stages))
    breakdown = break_down(
        talk.closed[0].timeline, end_s=talk.starts_s[0] + 1.0, audible_s=talk.bot_spans[0][0]
    )
    assert breakdown is not None
    assert breakdown.unattributed == pytest.approx(0, abs=2)
    assert breakdown.llm > 300


# A session that ends early.


class RecordingSpeaker(VirtualSpeaker):
    """Notes when it is cleared."""

    def __init__(self) -> None:
        super().__init__(RATE_HZ, block_ms=10, output_latency_ms=20)
        self.cleared_s: list[float] = []

    def clear(self) -> float:
        self.cleared_s.append(asyncio.get_running_loop().time())
        return super().clear()


def opened(talk: Conversation) -> list[int]:
    return [started.turn for started in talk.of(SpeechStarted)]


async def cancelled(
    after_s: float, *, source_ends_s: float | None = None
) -> tuple[Conversation, RecordingSpeaker]:
    talk, speaker = Conversation(), RecordingSpeaker()
    microphone = VirtualMicrophone(block_ms=10)
    stages = scripted(llm=ScriptedLlm(default="one two three four five six seven eight nine ten."))
    session = Session(
        microphone,
        speaker,
        stages,
        history=talk.history,
        rules=SessionRules(),
        notify=talk.events.append,
    )
    microphone.play(speech(1.0), not_before_s=0.5)
    if source_ends_s is not None:
        asyncio.get_running_loop().call_later(source_ends_s, microphone.close)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(after_s)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(5.0)
    for playback in speaker.take_played():
        end_s = playback.start_s + len(playback.samples) / RATE_HZ
        talk.bot_spans.append((playback.start_s, end_s))
    return talk, speaker


@pytest.mark.parametrize("after_s", [0.9, 1.62, 1.75, 2.5, 3.0])
@pytest.mark.parametrize("source_ends_s", [None, 1.73])
def test_a_cancelled_session_closes_its_turn_once_and_falls_silent(
    virtual_time: Run, after_s: float, source_ends_s: float | None
) -> None:
    talk, speaker = virtual_time(cancelled(after_s, source_ends_s=source_ends_s))
    assert [closed.turn for closed in talk.closed] == opened(talk) == [1]
    (closed,) = talk.closed
    assert after_s in speaker.cleared_s
    was_heard = after_s >= 2.5
    assert closed.outcome is (Outcome.ANSWERED if was_heard else Outcome.DISMISSED)
    assert all(end_s < after_s + 0.05 for _, end_s in talk.bot_spans)
    if was_heard:
        played_s = sum(end - start for start, end in talk.bot_spans)
        assert len(closed.heard.split()) == int(played_s / 0.2 + 1e-6)
    else:
        assert not talk.history.exchanges


class BrokenSource:
    """Plays a clip, then fails."""

    def __init__(self, clip: Samples, *, until_s: float, error: Exception) -> None:
        self._microphone = VirtualMicrophone(block_ms=10)
        self._microphone.play(clip, not_before_s=0.5)
        self._until_s = until_s
        self._error = error

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        async for block in self._microphone.blocks():
            if block.end_s > self._until_s:
                raise self._error
            yield block


async def broken_source(until_s: float, error: Exception) -> tuple[Conversation, RecordingSpeaker]:
    talk, speaker = Conversation(), RecordingSpeaker()
    session = Session(
        BrokenSource(speech(1.0), until_s=until_s, error=error),
        speaker,
        scripted(),
        history=talk.history,
        rules=SessionRules(),
        notify=talk.events.append,
    )
    with pytest.raises(DeviceError) as raised:
        await session.run()
    assert raised.value is error
    await asyncio.sleep(5.0)
    talk.bot_spans += [
        (playback.start_s, playback.start_s + len(playback.samples) / RATE_HZ)
        for playback in speaker.take_played()
    ]
    return talk, speaker


@pytest.mark.parametrize("until_s", [0.3, 0.9, 1.62, 2.5])
def test_a_broken_source_ends_the_session_with_its_error(virtual_time: Run, until_s: float) -> None:
    talk, speaker = virtual_time(broken_source(until_s, DeviceError("the microphone is gone")))
    assert [closed.turn for closed in talk.closed] == opened(talk)
    assert all(end_s < until_s + 0.05 for _, end_s in talk.bot_spans)
    assert bool(talk.bot_spans) == (until_s >= 2.5)
    if opened(talk):
        assert speaker.cleared_s


def test_a_session_that_was_never_spoken_to_closes_nothing(virtual_time: Run) -> None:
    async def quiet() -> list[Any]:
        events: list[Any] = []
        microphone = VirtualMicrophone(block_ms=10)
        microphone.play(np.zeros(RATE_HZ, dtype=np.float32))
        session = Session(
            microphone,
            RecordingSpeaker(),
            scripted(),
            history=Conversation().history,
            rules=SessionRules(),
            notify=events.append,
        )
        running = asyncio.create_task(session.run())
        await asyncio.sleep(2.0)
        assert session.is_idle
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return events

    assert virtual_time(quiet()) == []


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_draft_that_fails_for_good_waits_for_the_commit(virtual_time: Run, goes_on: bool) -> None:
    class BrokenTts(ScriptedTts):
        """Fails for the first draft and its apology, then speaks."""

        calls = 0

        async def _maybe_fail(self) -> None:
            self.calls += 1
            if not goes_on or self.calls <= 2:
                raise EngineError("synthesis is stuck")

    clip = speech(1.0, 0.4, 0.8) if goes_on else speech(1.0)
    unsure = ScriptedTurnDetector([0.6])
    stages = scripted(tts=BrokenTts(), turn_detector=unsure)
    talk = virtual_time(converse([(0.5, clip)], stages=stages))
    (closed,) = talk.closed
    if goes_on:
        assert closed.outcome is Outcome.ANSWERED
        assert closed.heard == closed.reply
        assert [each.heard_text for each in talk.history.exchanges] == [closed.heard]
    else:
        assert closed.outcome is Outcome.DISMISSED
        assert not talk.history.exchanges
