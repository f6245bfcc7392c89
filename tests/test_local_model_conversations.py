"""Conversations on tiny language models that the real libraries load; all else is scripted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from conversations import Conversation, converse, scripted, speech
from tiny_llm import tiny
from voicebot.engines.local_llm import LocalLlm
from voicebot.events import Outcome, StageFailed
from voicebot.models.local_folder import add_graph, prepared_folder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from pathlib import Path

    from voicebot.engines.protocols import Message, Prefilled, TextPiece

    Run = Callable[[Coroutine[Any, Any, Any]], Any]


class AtOnce:
    """A language model as a stage that takes no time of the virtual clock."""

    def __init__(self, llm: LocalLlm) -> None:
        self.llm = llm
        self.fails_once: Exception | None = None

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        self.llm.prepare(messages, None, write_tokens)

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        failure, self.fails_once = self.fails_once, None
        if failure is not None:
            network: Any = self.llm._network
            network.read, read = _raiser(failure), network.read
            try:
                for step in self.llm.generate(messages, threading.Event()):
                    yield step
            finally:
                network.read = read
        for step in self.llm.generate(messages, threading.Event()):
            yield step


def _raiser(failure: Exception) -> Callable[..., Any]:
    def read(*_: object) -> Any:
        raise failure

    return read


def made(folder: Path, form: str) -> LocalLlm:
    if form == "safetensors":
        tiny().write_tiny_llm(folder, seed=3)
    elif form == "sharded qwen2":
        tiny().write_tiny_of_kind(folder, "qwen2", seed=3, shards=True)
    elif form == "gguf":
        folder.mkdir()
        tiny().write_tiny_gguf(folder / "tiny.gguf", seed=3, quantisation="Q8_0")
        folder = prepared_folder(folder)
        add_graph(folder)
    else:
        tiny().write_tiny_of_kind(folder, "gemma3_text", seed=3, template="strict")
    return LocalLlm.load(folder, threads=1, max_tokens=12)


def talk(virtual_time: Run, stage: AtOnce) -> Conversation:
    clips = [(0.5, speech(1.0)), (6.0, speech(0.8)), (12.0, speech(1.2))]
    conversation: Conversation = virtual_time(converse(clips, stages=scripted(llm=stage)))
    return conversation


@pytest.mark.parametrize("form", ["safetensors", "sharded qwen2", "gguf", "strict gemma3"])
def test_three_turns_are_answered(virtual_time: Run, tmp_path: Path, form: str) -> None:
    result = talk(virtual_time, AtOnce(made(tmp_path / "model", form)))
    assert result.of(StageFailed) == []
    assert [turn.outcome for turn in result.closed] == [Outcome.ANSWERED] * 3
    assert len(result.bot_spans) >= 3
    assert all(exchange.heard_text for exchange in result.history.exchanges)


@pytest.mark.parametrize(
    "failure", [MemoryError(), RuntimeError("the graph is broken"), RuntimeError("out of memory")]
)
def test_after_a_failure_the_conversation_goes_on(
    virtual_time: Run, tmp_path: Path, failure: Exception
) -> None:
    stage = AtOnce(made(tmp_path / "model", "safetensors"))
    stage.fails_once = failure
    result = talk(virtual_time, stage)
    (failed,) = result.of(StageFailed)
    assert "\n" not in str(failed.error)
    assert [turn.turn for turn in result.closed] == [1, 2, 3]
    assert result.closed[1].outcome is Outcome.ANSWERED
    assert len(result.bot_spans) >= 3  # the apology is heard, too


def test_a_template_that_refuses_one_question_costs_one_turn(
    virtual_time: Run, tmp_path: Path
) -> None:
    tool = tiny()
    refusing = "{% if 'word3' in messages[-1]['content'] %}{{ raise_exception('no') }}{% endif %}"
    tool.TEMPLATES["refusing"] = refusing + tool.TEMPLATES["plain"]
    tool.write_tiny_llm(tmp_path, seed=3, template="refusing")
    stage = AtOnce(LocalLlm.load(tmp_path, threads=1, max_tokens=12))
    stage.prepare = lambda *_, **__: None  # type: ignore[method-assign]  # as a thread swallows it
    result = talk(virtual_time, stage)
    assert [len(result.of(StageFailed)) > 0, len(result.closed)] == [True, 3]
    assert result.closed[1].outcome is Outcome.ANSWERED


def test_a_conversation_that_outgrows_the_context_goes_on(
    virtual_time: Run, tmp_path: Path
) -> None:
    llm = made(tmp_path / "model", "safetensors")
    llm._context_tokens = 160
    stage = AtOnce(llm)
    clips = [(0.5 + 6.0 * turn, speech(1.0)) for turn in range(8)]
    result = virtual_time(converse(clips, stages=scripted(llm=stage)))
    assert result.of(StageFailed) == []
    assert [turn.outcome for turn in result.closed] == [Outcome.ANSWERED] * 8
    assert llm.count_tokens(result.history.messages()) > 160
