"""Engines that crash, hang and recover, in virtual time, within whole conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from conversations import Conversation, converse, scripted, speech
from voicebot.engines.protocols import Message, Prefilled, SpeechChunk, TextPiece, Transcript
from voicebot.engines.scripted import (
    FailAt,
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.errors import EngineError, ModelDamagedError
from voicebot.events import Outcome, StageFailed
from voicebot.supervision.facts import NewProcessWanted, StageReplaced, SupervisionFact
from voicebot.supervision.patience import Patience
from voicebot.supervision.restart_policy import RestartPolicy, RestartRules
from voicebot.supervision.stage_supervisor import EngineInstance, StageSupervisor
from voicebot.supervision.supervised_stages import (
    SupervisedAsr,
    SupervisedLlm,
    SupervisedTts,
    SupervisedTurnDetector,
    SupervisedVad,
)

Run = Callable[[Coroutine[Any, Any, Any]], Any]

ANSWER = "That is a good question. I think it is so."
CRASH = EngineError("it crashed")
NEVER_S = 1e9


class Fleet:
    """Scripted engines, one after another, of one stage under supervision."""

    def __init__(self, *stages: Any, build_s: float = 0.3, **rules: Any) -> None:
        self.left = list(stages)
        self.build_s = build_s
        self.rules = RestartRules(**rules)
        self.facts: list[SupervisionFact] = []
        self.abandoned: list[Any] = []
        self.closed: list[Any] = []
        self.supervisor: StageSupervisor[Any]

    def instance(self) -> EngineInstance[Any]:
        stage = self.left.pop(0)
        if isinstance(stage, Exception):
            raise stage

        async def close() -> None:
            self.closed.append(stage)

        return EngineInstance(
            stage, lambda: self.abandoned.append(stage), lambda: stage in self.abandoned, close
        )

    async def build(self) -> EngineInstance[Any]:
        await asyncio.sleep(self.build_s)
        return self.instance()

    def supervise(self, *, keeps_spare: bool = False) -> StageSupervisor[Any]:
        self.supervisor = StageSupervisor(
            "scripted",
            self.instance(),
            self.build,
            policy=RestartPolicy(self.rules),
            patience=Patience(shortest_s=1.5, longest_s=1.5),
            notify=self.facts.append,
            keeps_spare=keeps_spare,
        )
        return self.supervisor

    @property
    def replaced(self) -> list[StageReplaced]:
        return [fact for fact in self.facts if isinstance(fact, StageReplaced)]


def hang(kind: type[Any], call: int = 1, **more: Any) -> Any:
    return kind(fail_at=FailAt(call, None), **more)


class Crashing(ScriptedLlm):
    """Fails at every call."""

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        self.asked.append(tuple(messages))
        yield Prefilled(0.5, 1, 0)
        raise CRASH


async def ask(fleet: Fleet, stage: str, wrapper: type[Any]) -> Conversation:
    conversation = await converse(
        [(0.5, speech(1.0)), (10.0, speech(1.0))],
        stages=scripted(**{stage: wrapper(fleet.supervise())}),
        listen_s=8.0,
    )
    await fleet.supervisor.close()
    return conversation


STAGES = [
    ("asr", SupervisedAsr, ScriptedAsr),
    ("llm", SupervisedLlm, ScriptedLlm),
    ("tts", SupervisedTts, ScriptedTts),
    ("vad", SupervisedVad, ScriptedVad),
]


@pytest.mark.parametrize(("name", "wrapper", "kind"), STAGES)
def test_a_stage_that_hangs_is_replaced_and_no_turn_is_lost(
    name: str, wrapper: type[Any], kind: type[Any], virtual_time: Run
) -> None:
    fleet = Fleet(hang(kind), kind())
    conversation = virtual_time(ask(fleet, name, wrapper))
    assert [turn.outcome for turn in conversation.closed] == [Outcome.ANSWERED] * 2
    assert [turn.heard for turn in conversation.closed] == [ANSWER] * 2
    assert conversation.of(StageFailed) == []
    (fact,) = fleet.replaced
    assert fact.took_s == pytest.approx(0.3)
    assert fact.hung_threads == 1
    assert len(fleet.abandoned) == len(fleet.closed) == 1


@pytest.mark.parametrize(("name", "wrapper", "kind"), STAGES)
def test_a_stage_that_fails_once_is_asked_again(
    name: str, wrapper: type[Any], kind: type[Any], virtual_time: Run
) -> None:
    fleet = Fleet(kind(fail_at=FailAt(1, CRASH)))
    conversation = virtual_time(ask(fleet, name, wrapper))
    assert [turn.outcome for turn in conversation.closed] == [Outcome.ANSWERED] * 2
    assert conversation.of(StageFailed) == []
    assert fleet.facts == []


def test_a_stage_that_keeps_failing_is_replaced(virtual_time: Run) -> None:
    fleet = Fleet(Crashing(), ScriptedLlm())
    conversation = virtual_time(ask(fleet, "llm", SupervisedLlm))
    assert [turn.heard for turn in conversation.closed] == [ANSWER] * 2
    assert len(fleet.replaced) == 1
    assert "it crashed" in fleet.replaced[0].reason


def test_the_session_goes_on_where_no_engine_helps(virtual_time: Run) -> None:
    fleet = Fleet(*(Crashing() for _ in range(20)), restarts_per_hour=3)
    conversation = virtual_time(ask(fleet, "llm", SupervisedLlm))
    assert [turn.outcome for turn in conversation.closed] == [Outcome.ANSWERED] * 2
    assert all("something went wrong" in turn.heard for turn in conversation.closed)
    wanted = [fact for fact in fleet.facts if isinstance(fact, NewProcessWanted)]
    assert len(wanted) == 1
    assert "3 times within an hour" in wanted[0].reason


def test_hung_threads_are_bounded(virtual_time: Run) -> None:
    async def main() -> None:
        fleet = Fleet(*(hang(ScriptedVad) for _ in range(9)), hung_threads_max=2)
        supervisor = fleet.supervise()
        vad = SupervisedVad(supervisor)
        with pytest.raises(EngineError, match="no sign of life"):
            await vad.probability(speech(0.032))
        assert len(fleet.abandoned) == supervisor.hung_threads == 2
        (wanted,) = [fact for fact in fleet.facts if isinstance(fact, NewProcessWanted)]
        assert "3 of its threads hang" in wanted.reason
        await supervisor.close()

    virtual_time(main())


def test_a_spare_engine_takes_over_at_once(virtual_time: Run) -> None:
    async def main() -> None:
        fleet = Fleet(hang(ScriptedTts, 2), ScriptedTts(), ScriptedTts(), build_s=30.0)
        tts = SupervisedTts(fleet.supervise(keeps_spare=True))
        await asyncio.sleep(60.0)
        for _ in range(3):
            assert len([chunk async for chunk in tts.synthesise("one two three")]) == 3
        assert fleet.replaced[0].took_s == 0.0
        await asyncio.sleep(60.0)
        assert fleet.left == [], "the next spare is loaded"
        await fleet.supervisor.close()
        assert len(fleet.closed) == 2

    virtual_time(main())


def test_whoever_asks_waits_only_so_long_for_a_fresh_engine(virtual_time: Run) -> None:
    async def main() -> None:
        fleet = Fleet(hang(ScriptedVad), ScriptedVad(), build_s=100.0)
        vad = SupervisedVad(fleet.supervise())
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(EngineError, match="is being replaced"):
            await vad.probability(speech(0.032))
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(6.5)
        await asyncio.sleep(100.0)
        assert await vad.probability(speech(0.032)) == 1.0
        await fleet.supervisor.close()

    virtual_time(main())


def test_an_engine_that_cannot_be_built_is_tried_again_ever_more_seldom(virtual_time: Run) -> None:
    async def main() -> None:
        broken = [ModelDamagedError("its file is damaged") for _ in range(4)]
        fleet = Fleet(hang(ScriptedVad), *broken, ScriptedVad())
        vad = SupervisedVad(fleet.supervise())
        with pytest.raises(EngineError):
            await vad.probability(speech(0.032))
        await asyncio.sleep(60.0)
        assert await vad.probability(speech(0.032)) == 1.0
        assert fleet.replaced[0].took_s > 3.0
        await fleet.supervisor.close()

    virtual_time(main())


def test_what_no_fresh_engine_helps_against_is_told_at_once(virtual_time: Run) -> None:
    async def main() -> None:
        damaged = ModelDamagedError("its file is damaged")
        fleet = Fleet(ScriptedVad(fail_at=FailAt(1, damaged)))
        with pytest.raises(ModelDamagedError):
            await SupervisedVad(fleet.supervise()).probability(speech(0.032))
        assert fleet.facts == []

    virtual_time(main())


def test_a_reply_that_was_begun_is_not_begun_again(virtual_time: Run) -> None:
    class Half(ScriptedLlm):
        async def generate(
            self, messages: Sequence[Message]
        ) -> AsyncGenerator[Prefilled | TextPiece, None]:
            yield Prefilled(0.5, 1, 0)
            yield TextPiece("Well, ", tokens=1)
            await asyncio.sleep(NEVER_S)

    async def main() -> None:
        fleet = Fleet(Half(), ScriptedLlm())
        llm = SupervisedLlm(fleet.supervise())
        pieces = llm.generate([Message("user", "hello")])
        assert isinstance(await anext(pieces), Prefilled)
        assert isinstance(await anext(pieces), TextPiece)
        with pytest.raises(EngineError, match="no sign of life"):
            await anext(pieces)
        again = [piece async for piece in llm.generate([Message("user", "hello")])]
        assert (
            "".join(piece.text for piece in again if isinstance(piece, TextPiece)) == ANSWER + " "
        )
        await fleet.supervisor.close()

    virtual_time(main())


def test_a_fresh_recogniser_hears_the_whole_turn_and_the_old_one_is_not_heard(
    virtual_time: Run,
) -> None:
    class Late(ScriptedAsr):
        async def finish(self) -> Transcript:
            await asyncio.sleep(NEVER_S)
            raise AssertionError

    async def main() -> None:
        old = Late(["lost"])
        fleet = Fleet(old, ScriptedAsr(["one", "two", "three", "four"]))
        asr = SupervisedAsr(fleet.supervise())
        partials: list[str] = []
        asr.start(partials.append)
        for _ in range(4):
            asr.feed(speech(0.25))
        assert (await asr.finish()).text == "one two three four"
        assert old._on_partial is not None
        old._on_partial("from the grave")
        assert "from the grave" not in partials
        assert partials[-1] == "one two three four"
        asr.feed(speech(0.25))
        await fleet.supervisor.close()

    virtual_time(main())


def test_a_late_look_at_completeness_is_not_waited_for(virtual_time: Run) -> None:
    async def main() -> None:
        fleet = Fleet(hang(ScriptedTurnDetector), ScriptedTurnDetector(), build_s=3.0)
        detector = SupervisedTurnDetector(fleet.supervise())
        for _ in range(2):
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(EngineError):
                await detector.completion(speech(1.0))
            assert asyncio.get_running_loop().time() - began_s <= 1.5
        await asyncio.sleep(3.1)
        assert await detector.completion(speech(1.0)) == 1.0
        await fleet.supervisor.close()

    virtual_time(main())


def test_a_caller_that_is_cancelled_does_not_stop_the_replacing(virtual_time: Run) -> None:
    async def main() -> None:
        fleet = Fleet(hang(ScriptedVad), ScriptedVad(), build_s=1.0)
        vad = SupervisedVad(fleet.supervise())
        waiting: Awaitable[float] = vad.probability(speech(0.032))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 2.0)
        await asyncio.sleep(1.0)
        assert len(fleet.replaced) == 1
        await fleet.supervisor.close()

    virtual_time(main())


def test_the_words_of_a_voice_that_hangs_midway_are_owned_up(virtual_time: Run) -> None:
    class Midway(ScriptedTts):
        async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
            async for chunk in super().synthesise(text):
                yield chunk
                await asyncio.sleep(NEVER_S)

    fleet = Fleet(Midway(), ScriptedTts())
    conversation = virtual_time(ask(fleet, "tts", SupervisedTts))
    first, second = conversation.closed
    assert "something went wrong" in first.reply or "something went wrong" in first.heard
    assert second.heard == ANSWER
