"""One reply, on its own: silenced, cancelled, cut and counted."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voicebot.audio.sinks import VirtualSpeaker
from voicebot.engines.protocols import Message, Prefilled, SpeechChunk, TextPiece
from voicebot.engines.scripted import ScriptedLlm, ScriptedTts
from voicebot.errors import EngineError
from voicebot.reply import Reply, ReplyRules
from voicebot.stages import ThreadedLlm
from voicebot.timeline import Mark, Part, Timeline
from voicebot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.stages import TtsStage

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

RATE_HZ = 16_000


class CountingSpeaker(VirtualSpeaker):
    """Counts what is written to it."""

    def __init__(self) -> None:
        super().__init__(RATE_HZ, block_ms=10, output_latency_ms=20)
        self.writes = 0

    def write(self, samples: Samples) -> float:
        self.writes += 1
        return super().write(samples)


class HeldTts(ScriptedTts):
    """Speaks, or fails, when it is told to."""

    def __init__(self, *, error: Exception | None = None) -> None:
        super().__init__(latency_s=0.0)
        self.speak_now = asyncio.Event()
        self._error = error

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        await self.speak_now.wait()
        if self._error is not None:
            raise self._error
        async for chunk in super().synthesise(text):
            yield chunk


class InOneChunkTts(ScriptedTts):
    """All words of a clause in one chunk, after an empty one."""

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        words, parts = [], []
        async for chunk in super().synthesise(text):
            words += chunk.words
            parts.append(chunk.samples)
        yield SpeechChunk(np.zeros(0, dtype=np.float32))
        await asyncio.sleep(0.1)
        yield SpeechChunk(np.concatenate(parts), tuple(words))


async def pieces_of(*texts: str) -> AsyncGenerator[Prefilled | TextPiece, None]:
    for text in texts:
        yield TextPiece(text, tokens=1)


def reply_to(
    pieces: AsyncGenerator[Prefilled | TextPiece, None],
    *,
    tts: TtsStage | None = None,
    sink: VirtualSpeaker | None = None,
    is_committed: bool = True,
    timeline: Timeline | None = None,
    max_tokens: int | None = None,
) -> Reply:
    gate = asyncio.Event()
    if is_committed:
        gate.set()
    return Reply(
        1,
        pieces,
        tts=tts or ScriptedTts(),
        sink=sink or CountingSpeaker(),
        gate=gate,
        timeline=timeline or Timeline(),
        rules=ReplyRules(clause_max_characters=60, max_tokens=max_tokens),
        notify=lambda _: None,
        on_prefilled=lambda _: None,
    )


@pytest.mark.parametrize(
    ("max_tokens", "text"),
    [
        (4, "Many animals are"),
        (5, "Many animals are intellig"),
        (None, "Many animals are intellig"),
    ],
)
def test_a_reply_that_breaks_off_stops_at_a_word(
    virtual_time: Run, max_tokens: int | None, text: str
) -> None:
    async def main() -> tuple[str, str]:
        pieces = pieces_of("Many animals", " are", " in", "tellig")
        reply = reply_to(pieces, max_tokens=max_tokens)
        await reply.run()
        return reply.text, reply.heard_text(float("inf"))

    assert virtual_time(main()) == (text, text)


def test_nothing_is_written_before_the_gate_opens(virtual_time: Run) -> None:
    async def main() -> int:
        sink = CountingSpeaker()
        reply = reply_to(pieces_of("One two three."), sink=sink, is_committed=False)
        running = asyncio.create_task(reply.run())
        await asyncio.sleep(10.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return sink.writes

    assert virtual_time(main()) == 0


@pytest.mark.parametrize("steps", range(12))
def test_nothing_is_written_once_it_is_silenced(virtual_time: Run, steps: int) -> None:
    async def main() -> tuple[int, int]:
        sink, tts = CountingSpeaker(), HeldTts()
        reply = reply_to(pieces_of("One two three."), tts=tts, sink=sink)
        running = asyncio.create_task(reply.run())
        await asyncio.sleep(1.0)
        tts.speak_now.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        reply.silence()
        sink.clear()
        writes = sink.writes
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()
        return writes, sink.writes

    before, after = virtual_time(main())
    assert after == before


@pytest.mark.parametrize("error", [EngineError("tts broke"), ValueError("bug")])
@pytest.mark.parametrize("steps", range(8))
def test_a_silenced_reply_whose_stage_fails_is_cancelled_not_failed(
    virtual_time: Run, steps: int, error: Exception
) -> None:
    async def main() -> None:
        tts = HeldTts(error=error)
        reply = reply_to(pieces_of("One two three."), tts=tts, is_committed=False)
        running = asyncio.create_task(reply.run())
        await asyncio.sleep(1.0)
        tts.speak_now.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        if running.done():  # it failed first: then it is a failure
            assert isinstance(running.exception(), EngineError)
            return
        reply.silence()
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()

    virtual_time(main())


@pytest.mark.parametrize("steps", range(6))
def test_a_reply_that_is_cancelled_as_text_arrives_ends(steps: int) -> None:
    """With a real thread: the text is in the loop's inbox when the cancellation comes."""
    go_on, handed_over = threading.Event(), threading.Event()

    class Writer:
        def generate(
            self, messages: Sequence[Message], stop: threading.Event
        ) -> Iterator[Prefilled | TextPiece]:
            del messages
            yield Prefilled(0.5, 1, 0)
            go_on.wait(5)
            yield TextPiece("One two three four. ", 1)
            handed_over.set()
            while not stop.is_set():
                yield TextPiece("One two three four. ", 1)

    async def main() -> None:
        worker: Worker[Any] = Worker("writer", timeout_s=2)
        await worker.load(Writer)
        try:
            reply = reply_to(ThreadedLlm(worker).generate([]), is_committed=False)
            running = asyncio.create_task(reply.run())
            await asyncio.sleep(0.02)
            go_on.set()
            assert handed_over.wait(5)
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running}, timeout=1)
            assert running.cancelled()
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await worker.close(lambda _: None)

    asyncio.run(main())


def test_a_bug_becomes_an_engine_error_that_asks_to_be_reported(virtual_time: Run) -> None:
    async def main() -> None:
        tts = HeldTts(error=ValueError("bug"))
        tts.speak_now.set()
        with pytest.raises(EngineError, match=r"ValueError: bug.*please report it"):
            await reply_to(pieces_of("One two three."), tts=tts).run()

    virtual_time(main())


def test_an_error_of_the_tree_keeps_its_kind_beside_a_bug(virtual_time: Run) -> None:
    error = EngineError("llm broke")
    tts = HeldTts(error=ValueError("bug"))

    async def broken() -> AsyncGenerator[Prefilled | TextPiece, None]:
        yield TextPiece("One two three. ", tokens=1)
        await asyncio.sleep(1.0)
        tts.speak_now.set()
        await asyncio.sleep(0)
        raise error

    async def main() -> BaseException | None:
        running = asyncio.create_task(reply_to(broken(), tts=tts).run())
        await asyncio.wait({running})
        return running.exception()

    assert virtual_time(main()) is error


@pytest.mark.parametrize("tts", [ScriptedTts(latency_s=0.002), ScriptedTts(latency_s=0.8)])
def test_words_count_as_heard_one_by_one_as_they_end(virtual_time: Run, tts: ScriptedTts) -> None:
    text = "one two three four five."

    async def main() -> None:
        sink = CountingSpeaker()
        reply = reply_to(pieces_of(text), tts=tts, sink=sink)
        await reply.run()
        assert reply.heard_text(float("inf")) == text
        starts = [playback.start_s for playback in sink.take_played()]
        first_s = reply.starts_s
        assert first_s == pytest.approx(starts[0])
        words = text.split()
        if len(starts) == 1:  # in one stretch: each word takes 200 ms
            starts = [first_s + 0.2 * index for index in range(len(words))]
        for count, start_s in enumerate(starts):
            assert reply.heard_text(start_s) == " ".join(words[:count])
        assert reply.heard_text(starts[-1] + 0.2) == text

    virtual_time(main())


def test_words_that_are_queued_but_not_synthesised_are_not_heard(virtual_time: Run) -> None:
    async def main() -> list[str]:
        reply = reply_to(pieces_of("one two three four five."), tts=ScriptedTts(latency_s=0.8))
        running = asyncio.create_task(reply.run())
        heard = []
        for _ in range(5):
            await asyncio.sleep(0.79)
            heard.append(reply.heard_text(asyncio.get_running_loop().time()))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return heard

    assert virtual_time(main()) == ["", "", "one", "one two", "one two three"]


def test_an_empty_chunk_is_no_first_sound(virtual_time: Run) -> None:
    timeline = Timeline()

    async def main() -> Reply:
        reply = reply_to(pieces_of("One two three."), tts=InOneChunkTts(), timeline=timeline)
        await reply.run()
        return reply

    reply = virtual_time(main())
    span = timeline.spans[Part.TTS]
    assert span.end_s - span.start_s == pytest.approx(0.106)
    assert timeline.marks[Mark.WRITTEN] == span.end_s
    assert reply.starts_s == timeline.marks[Mark.LEFT_SINK]
    assert reply.heard_text(reply.starts_s + 0.4) == "One two"


def test_the_language_models_span_ends_with_the_first_clause_that_can_be_spoken(
    virtual_time: Run,
) -> None:
    timeline = Timeline()

    async def main() -> None:
        llm = ScriptedLlm(default="*** ... Hello there my friend.", prefill_s=0.0, token_s=0.1)
        question = [Message("user", "Hello?")]
        await reply_to(llm.generate(question), timeline=timeline).run()

    virtual_time(main())
    span = timeline.spans[Part.LLM]
    assert span.end_s - span.start_s == pytest.approx(0.6)
    assert timeline.spans[Part.TTS].start_s == pytest.approx(span.end_s)


class NumberedTts(ScriptedTts):
    """Word n of the reply sounds as the constant n / 100, so that it can be told what is played."""

    def __init__(self, *, words_a_chunk: int) -> None:
        super().__init__(latency_s=0.003)
        self._words_a_chunk = words_a_chunk
        self._word = 0

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        chunks = [chunk async for chunk in super().synthesise(text)]
        for first in range(0, len(chunks), self._words_a_chunk):
            some = chunks[first : first + self._words_a_chunk]
            sound = []
            for chunk in some:
                self._word += 1
                sound.append(np.full(len(chunk.samples), self._word / 100, dtype=np.float32))
            yield SpeechChunk(np.concatenate(sound), tuple(w for c in some for w in c.words))


HOLDS = st.lists(st.tuples(st.floats(0.01, 1.5), st.floats(0.0, 1.0)), max_size=4)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(holds=HOLDS, words_a_chunk=st.sampled_from([1, 2, 5]), clauses=st.integers(1, 3))
def test_a_held_reply_goes_on_from_the_word_that_was_cut(
    virtual_time: Run,
    holds: Sequence[tuple[float, float]],
    words_a_chunk: int,
    clauses: int,
) -> None:
    text = " ".join("one two three four five." for _ in range(clauses))

    async def main() -> None:
        sink = CountingSpeaker()
        reply = reply_to(pieces_of(text), tts=NumberedTts(words_a_chunk=words_a_chunk), sink=sink)
        running = asyncio.create_task(reply.run())
        heard: list[str] = []
        for play_s, hold_s in holds:
            await asyncio.sleep(play_s)
            if running.done():
                break
            reply.hold()
            silent_from_s = sink.clear()
            heard.append(reply.heard_text(silent_from_s))
            await asyncio.sleep(hold_s)
            assert not running.done()
            assert reply.heard_text(silent_from_s) == heard[-1]
            reply.resume(silent_from_s)
            assert reply.heard_text(silent_from_s) == heard[-1]
        await running
        assert reply.heard_text(float("inf")) == text
        assert [len(before) for before in heard] == sorted(len(before) for before in heard)
        words = np.round(np.concatenate([p.samples for p in sink.take_played()]) * 100)
        whole = 0.2 * RATE_HZ
        for word in range(1, 5 * clauses + 1):
            assert np.count_nonzero(words == word) >= whole - 0.005 * RATE_HZ, "heard whole"
        # After each cut the next sound is that of the first word which had not been heard.
        steps = np.diff(words[words > 0])
        assert np.count_nonzero(steps > 1) == 0, "no word is skipped"

    virtual_time(main())
