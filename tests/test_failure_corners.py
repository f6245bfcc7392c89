"""Bugs and late failures cost a turn, never the conversation or the books."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conversations import RATE_HZ, Conversation, converse, scripted, speech
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.protocols import Prefilled, TextPiece, Transcript
from voicebot.engines.scripted import FailAt, ScriptedAsr, ScriptedLlm, ScriptedTurnDetector
from voicebot.errors import EngineError
from voicebot.events import Outcome
from voicebot.history import History
from voicebot.session import Session, SessionRules
from voicebot.stages import ThreadedAsr
from voicebot.timeline import break_down
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Message

Run = Callable[[Any], Any]


def test_an_old_failure_does_not_spoil_a_turn_whose_fresh_start_is_still_queued() -> None:
    hold, failed = threading.Event(), threading.Event()

    class Asr:
        turn = 0

        def start(self) -> None:
            self.turn += 1
            if self.turn == 2:
                hold.wait(5)

        def feed(self, samples: object) -> None:
            if self.turn == 1:
                failed.set()
                raise EngineError("decoder process ended")

        def finish(self) -> Transcript:
            return Transcript("fine", final=True)

    async def main() -> str:
        worker: Worker[Any] = Worker("recognition", timeout_s=2)
        await worker.load(Asr)
        stage = ThreadedAsr(worker, to_loop=lambda _: None)
        try:
            stage.start(lambda _: None)
            stage.feed(np.zeros(160, dtype=np.float32))
            failed.wait(5)
            await asyncio.sleep(0.05)
            stage.start(lambda _: None)
            asyncio.get_running_loop().call_later(0.1, hold.set)
            return (await stage.finish()).text
        finally:
            hold.set()
            await worker.close(lambda _: None)

    assert asyncio.run(main()) == "fine"


class BuggyAsr(ScriptedAsr):
    async def finish(self) -> Transcript:
        self._calls += 1
        if self._calls == 1:
            raise ValueError("bug")
        return await super().finish()


class BuggyDetector(ScriptedTurnDetector):
    async def completion(self, samples: Samples) -> float:
        self._calls += 1
        if self._calls == 1:
            raise ValueError("bug")
        return await super().completion(samples)


@pytest.mark.parametrize(
    "stages", [{"asr": BuggyAsr()}, {"turn_detector": BuggyDetector()}], ids=["asr", "detector"]
)
def test_a_bug_in_a_stage_before_the_reply_costs_one_turn(
    virtual_time: Run, stages: dict[str, Any]
) -> None:
    talk = virtual_time(
        converse([(0.5, speech(1.0)), (8.0, speech(1.0))], stages=scripted(**stages))
    )
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED] * 2


def test_a_bug_in_the_historys_text_code_costs_one_turn(virtual_time: Run) -> None:
    calls: list[str] = []

    def write(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            raise ValueError("bug")
        return text

    async def main() -> Conversation:
        talk = Conversation(history=History("", max_tokens=1000, write=write))
        microphone = VirtualMicrophone(block_ms=10)
        speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
        session = Session(
            microphone,
            speaker,
            scripted(),
            history=talk.history,
            rules=SessionRules(),
            notify=talk.events.append,
        )
        microphone.play(speech(1.0), not_before_s=0.5)
        microphone.play(speech(1.0), not_before_s=8.0)
        asyncio.get_running_loop().call_later(15.0, microphone.close)
        await session.run()
        return talk

    assert len(virtual_time(main()).closed) == 2


@pytest.mark.parametrize("steps", range(6))
def test_a_session_cancelled_as_a_stage_fails_at_its_end_ends_at_once(
    virtual_time: Run, steps: int
) -> None:
    async def main() -> float:
        fail_now = asyncio.Event()

        class Llm(ScriptedLlm):
            async def generate(
                self, messages: Sequence[Message]
            ) -> AsyncGenerator[Prefilled | TextPiece, None]:
                del messages
                yield Prefilled(0.5, 1, 0)
                await fail_now.wait()
                raise EngineError("llm broke")

        microphone = VirtualMicrophone(block_ms=10)
        speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
        session = Session(
            microphone,
            speaker,
            scripted(llm=Llm()),
            history=Conversation().history,
            rules=SessionRules(),
            notify=lambda _: None,
        )
        microphone.play(speech(1.0), not_before_s=0.5)
        running = asyncio.create_task(session.run())
        await asyncio.sleep(3.0)
        microphone.close()
        await asyncio.sleep(0.5)
        fail_now.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        before_s = asyncio.get_running_loop().time()
        running.cancel()
        await asyncio.wait({running})
        return asyncio.get_running_loop().time() - before_s

    assert virtual_time(main()) < 0.1


@pytest.mark.parametrize(
    "stages",
    [
        {"llm": ScriptedLlm(default="***", prefill_s=1.0)},
        {"asr": ScriptedAsr(fail_at=FailAt(1, EngineError("broke")))},
    ],
    ids=["nothing to say", "asr fails"],
)
def test_the_time_before_a_fixed_sentence_is_attributed(
    virtual_time: Run, stages: dict[str, Any]
) -> None:
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=scripted(**stages)))
    breakdown = break_down(
        talk.closed[0].timeline, end_s=talk.starts_s[0] + 1.0, audible_s=talk.bot_spans[0][0]
    )
    assert breakdown is not None
    assert breakdown.unattributed == pytest.approx(0, abs=2)
