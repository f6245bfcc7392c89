"""Two engines for one stage: the second does what the first fails to do."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.engines.fallback import FallbackAsr, FallbackLlm, FallbackPlan, FallbackTts
from voicebot.engines.protocols import (
    Message,
    Prefilled,
    SpeechChunk,
    SpokenWord,
    TextPiece,
    Transcript,
)
from voicebot.errors import EngineError
from voicebot.events import StageFellBack, StageRecovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import StopFlag

ASKED = [Message("user", "Hello?")]
BROKEN = EngineError("first broke")


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Engine:
    """All three kinds of engine in one; fails where it is told to."""

    name: str
    fails_at: str = ""
    rate_hz: int = 16_000
    calls: list[str] = field(default_factory=list)
    heard: int = 0
    is_closed: bool = False

    def _at(self, place: str) -> None:
        self.calls.append(place)
        if self.fails_at == place:
            raise BROKEN

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        self._at("generate")
        yield Prefilled(0.5, 1, 0)
        yield TextPiece("", 1)
        self._at("thinking")
        yield TextPiece(f"I am {self.name}", 1)
        self._at("writing")
        yield TextPiece(".", 1)

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        self._at("prepare")
        return Prefilled(0.9, 5, 0)

    def start(self) -> None:
        self.heard = 0
        self._at("start")

    def feed(self, samples: Samples) -> Transcript | None:
        self._at("feed")
        self.heard += len(samples)
        return Transcript(f"{self.name} {self.heard}", final=False)

    def finish(self) -> Transcript:
        self._at("finish")
        return Transcript(f"{self.name} {self.heard}", final=True)

    @property
    def sample_rate_hz(self) -> int:
        return self.rate_hz

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        self._at("synthesise")
        second = np.full(self.rate_hz, 0.1, np.float32)
        yield SpeechChunk(second, (SpokenWord(0, 2, 0.0),))
        self._at("speaking")
        yield SpeechChunk(second, (SpokenWord(3, 5, 1.0),))

    def close(self) -> None:
        self.is_closed = True


class Stage:
    """A first and a second engine and what is reported of them."""

    def __init__(
        self, fails_at: str = "", *, first_rate_hz: int = 16_000, second_reads: bool = False
    ) -> None:
        self.second_reads = second_reads
        self.first = Engine("first", fails_at, first_rate_hz)
        self.second = Engine("second")
        self.clock = Clock()
        self.events: list[StageFellBack | StageRecovered] = []
        self.loads = 0
        self.load_error: Exception | None = None

    def make_first(self) -> Engine:
        self.loads += 1
        if self.load_error is not None:
            raise self.load_error
        return self.first

    @property
    def parts(self) -> tuple[Callable[[], Engine], Callable[[], Engine], FallbackPlan]:
        plan = FallbackPlan(
            "language model",
            "auto:small",
            report=self.events.append,
            retry_after_s=10.0,
            second_reads=self.second_reads,
            now=self.clock,
        )
        return self.make_first, lambda: self.second, plan

    @property
    def told(self) -> list[str]:
        return [
            f"{event.fallback}: {event.error}" if isinstance(event, StageFellBack) else "recovered"
            for event in self.events
        ]


def written(llm: FallbackLlm) -> str:
    items = list(llm.generate(ASKED, threading.Event()))
    assert [isinstance(item, Prefilled) for item in items].count(True) == 1
    return "".join(item.text for item in items if isinstance(item, TextPiece))


def test_the_first_model_writes_while_it_works() -> None:
    stage = Stage()
    llm = FallbackLlm(*stage.parts)
    assert written(llm) == "I am first."
    llm.prepare(ASKED, threading.Event())
    assert stage.second.calls == []
    assert stage.told == []
    llm.close()
    assert stage.first.is_closed
    assert stage.second.is_closed


@pytest.mark.parametrize("fails_at", ["generate", "thinking"])
def test_the_second_model_writes_the_same_reply_if_no_text_came(fails_at: str) -> None:
    stage = Stage(fails_at)
    llm = FallbackLlm(*stage.parts)
    assert written(llm) == "I am second."
    assert stage.told == ["auto:small: first broke"]
    llm.prepare(ASKED, threading.Event())
    assert stage.second.calls[-1] == "prepare"


def test_what_was_said_stands_and_the_next_reply_is_the_seconds() -> None:
    stage = Stage("writing")
    llm = FallbackLlm(*stage.parts)
    pieces = []
    with pytest.raises(EngineError, match="first broke"):
        pieces.extend(llm.generate(ASKED, threading.Event()))
    assert [piece.text for piece in pieces if isinstance(piece, TextPiece)][-1] == "I am first"
    assert written(llm) == "I am second."


def test_the_first_has_another_chance_later_and_later() -> None:
    stage = Stage("generate")
    llm = FallbackLlm(*stage.parts)
    tried_at = []
    for second in range(100):
        stage.clock.now_s = 100.0 + second
        before = len(stage.first.calls)
        assert written(llm) == "I am second."
        if len(stage.first.calls) > before:
            tried_at.append(second)
    assert tried_at == [0, 10, 30, 70]
    assert stage.told == ["auto:small: first broke"]
    stage.first.fails_at = ""
    stage.clock.now_s += 1000
    assert written(llm) == "I am first."
    assert stage.told[1:] == ["recovered"]
    stage.first.fails_at = "generate"
    assert written(llm) == "I am second."
    assert stage.told[2:] == ["auto:small: first broke"]


def test_a_first_that_cannot_be_loaded_is_loaded_later() -> None:
    stage = Stage()
    stage.load_error = EngineError("server down")
    llm = FallbackLlm(*stage.parts)
    assert written(llm) == "I am second."
    assert (stage.loads, stage.told) == (1, ["auto:small: server down"])
    stage.load_error = None
    stage.clock.now_s += 10
    assert written(llm) == "I am first."
    assert (stage.loads, stage.told[1:]) == (2, ["recovered"])


def test_a_bug_in_the_first_counts_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.load_error = EngineError("down")
    llm = FallbackLlm(*stage.parts)
    stage.load_error = ZeroDivisionError("bug")
    stage.clock.now_s += 10
    assert written(llm) == "I am second."
    assert stage.loads == 2
    assert len(stage.told) == 1
    assert "bug" not in stage.told[0]
    assert not caplog.records


def test_both_failing_is_the_seconds_error() -> None:
    stage = Stage("generate")
    stage.second.fails_at = "generate"
    llm = FallbackLlm(*stage.parts)
    with pytest.raises(EngineError):
        written(llm)


@pytest.mark.parametrize("fails_at", ["", "thinking"])
def test_the_second_model_reads_along_for_the_turns_end(fails_at: str) -> None:
    stage = Stage(fails_at, second_reads=True)
    llm = FallbackLlm(*stage.parts)
    assert llm.prepare(ASKED, threading.Event()) == Prefilled(0.9, 5, 0)
    assert stage.second.calls == ["prepare"]
    items = list(llm.generate(ASKED, threading.Event()))
    assert items[0] == Prefilled(0.9, 5, 0)
    assert [isinstance(item, Prefilled) for item in items].count(True) == 1
    text = "".join(item.text for item in items if isinstance(item, TextPiece))
    assert text == ("I am second." if fails_at else "I am first.")


def test_a_second_that_cannot_read_is_no_hindrance(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(second_reads=True)
    stage.second.fails_at = "prepare"
    llm = FallbackLlm(*stage.parts)
    with caplog.at_level("DEBUG", "voicebot.engines"):
        llm.prepare(ASKED, threading.Event())
    assert "could not read along" in caplog.text
    assert stage.first.calls == ["prepare"]
    assert written(llm) == "I am first."
    assert stage.told == []


def block(samples: int) -> Samples:
    return np.zeros(samples, np.float32)


@pytest.mark.parametrize("fails_at", ["start", "feed", "finish"])
def test_the_turn_that_the_first_recogniser_lost_is_replayed(fails_at: str) -> None:
    stage = Stage(fails_at)
    asr = FallbackAsr(*stage.parts)
    asr.start()
    for _ in range(3):
        asr.feed(block(100))
    assert asr.finish() == Transcript("second 300", final=True)
    asr.feed(block(50))
    assert asr.finish().text == "second 350"
    assert stage.told == ["auto:small: first broke"]
    asr.start()
    assert asr.finish().text == "second 0"
    stage.first.fails_at = ""
    stage.clock.now_s += 10
    asr.start()
    asr.feed(block(10))
    assert asr.finish().text == "first 10"
    assert stage.told[1:] == ["recovered"]


def test_what_is_replayed_has_a_bound() -> None:
    stage = Stage("finish")
    asr = FallbackAsr(*stage.parts)
    asr.start()
    for _ in range(60):
        asr.feed(block(16_000))
    assert asr.finish().text == f"second {26 * 16_000}"


def spoken(tts: FallbackTts) -> tuple[float, list[SpokenWord]]:
    chunks = list(tts.synthesise("a b c", threading.Event()))
    seconds = sum(len(chunk.samples) for chunk in chunks) / tts.sample_rate_hz
    return seconds, [word for chunk in chunks for word in chunk.words]


@pytest.mark.parametrize("first_rate_hz", [16_000, 22_050])
def test_the_second_voice_speaks_the_clause_at_the_rate_of_the_first(first_rate_hz: int) -> None:
    stage = Stage("synthesise", first_rate_hz=first_rate_hz)
    tts = FallbackTts(*stage.parts)
    assert tts.sample_rate_hz == first_rate_hz
    seconds, words = spoken(tts)
    assert seconds == pytest.approx(2.0, abs=0.001)
    assert [word.start_s for word in words] == [0.0, 1.0]
    assert stage.second.calls == ["synthesise", "speaking"]


def test_a_clause_that_broke_off_is_said_again() -> None:
    stage = Stage("speaking")
    seconds, words = spoken(FallbackTts(*stage.parts))
    assert seconds == pytest.approx(3.0)
    assert [word.start_s for word in words] == [0.0, 1.0, 2.0]


def test_a_first_voice_that_comes_late_is_brought_to_the_rate_there_is() -> None:
    stage = Stage(first_rate_hz=48_000)
    stage.load_error = EngineError("down")
    tts = FallbackTts(*stage.parts)
    assert tts.sample_rate_hz == 16_000
    stage.load_error = None
    stage.clock.now_s += 10
    assert spoken(tts)[0] == pytest.approx(2.0, abs=0.001)
    assert stage.first.calls == ["synthesise", "speaking"]
