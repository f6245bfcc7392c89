"""The threaded stages: what the session asks for reaches the engine, in order and no more."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.errors import EngineError
from voicebot.stages import ThreadedLlm
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voicebot.engines.protocols import StopFlag

WAIT_S = 5.0


class ReadingLlm:
    """Reads until it is stopped, or fails; says what it was asked for."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.begun = threading.Event()
        self.write_tokens = -1
        self.log: list[str] = []

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        self.log.append(f"read {messages[-1].content}")
        self.write_tokens = write_tokens
        self.begun.set()
        if self.fails:
            raise EngineError("too long")
        assert isinstance(stop, threading.Event)
        assert stop.wait(WAIT_S), "nobody stopped it"
        return None

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        self.log.append(f"answer {messages[-1].content}")
        yield TextPiece("Yes.", 1)

    def close(self) -> None: ...


def said(text: str) -> list[Message]:
    return [Message("user", text)]


async def with_llm(engine: ReadingLlm, texts: Sequence[str]) -> list[str]:
    worker: Worker[ReadingLlm] = Worker("language model", timeout_s=WAIT_S)
    await worker.load(lambda: engine)
    stage = ThreadedLlm(worker)  # type: ignore[arg-type]
    try:
        all_asked = threading.Event()
        worker.post(lambda _: all_asked.wait(WAIT_S))
        for text in texts:
            stage.prepare(said(text), write_tokens=7)
        all_asked.set()
        await asyncio.to_thread(engine.begun.wait, WAIT_S)
        pieces = [piece async for piece in stage.generate(said("all of it"))]
        return [piece.text for piece in pieces if isinstance(piece, TextPiece)]
    finally:
        await worker.close(lambda llm: llm.close())


def test_an_answer_ends_the_reading_ahead() -> None:
    engine = ReadingLlm()
    assert asyncio.run(with_llm(engine, ["all"])) == ["Yes."]
    assert engine.log == ["read all", "answer all of it"]
    assert engine.write_tokens == 7


def test_only_the_newest_words_are_read_ahead() -> None:
    engine = ReadingLlm()
    assert asyncio.run(with_llm(engine, ["a", "al", "all", "all of"])) == ["Yes."]
    assert engine.log == ["read all of", "answer all of it"]


def test_a_failure_of_reading_ahead_is_left_to_the_answer() -> None:
    engine = ReadingLlm(fails=True)
    assert asyncio.run(with_llm(engine, ["all"])) == ["Yes."]
