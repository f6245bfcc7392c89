from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot import tuning
from voicebot.engines.protocols import (
    Message,
    Prefilled,
    SpeechChunk,
    StopFlag,
    TextPiece,
    Transcript,
)
from voicebot.errors import EngineError
from voicebot.tuning import (
    Speed,
    best_threads,
    chosen_threads,
    keep_threads,
    measure_asr,
    measure_llm,
    measure_tts,
    measure_turn_detector,
    measure_vad,
    thread_counts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from voicebot.audio.samples import Samples


class FakeClock:
    """Stands still except where an engine works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """All stages in one; each step of work takes its fixed time."""

    frame_samples = 512
    window_s = 8.0
    sample_rate_hz = 22_050

    def __init__(self, clock: FakeClock, *, mute: bool = False) -> None:
        self.clock = clock
        self.mute = mute
        self.fed = 0

    def probability(self, frame: Samples) -> float:
        assert frame.shape == (512,)
        self.clock.now += 0.001
        return 0.5

    def reset(self) -> None:
        """Nothing to forget."""

    def completion(self, samples: Samples) -> float:
        assert len(samples) == 8 * 16_000
        self.clock.now += 0.03
        return 0.5

    def start(self) -> None:
        self.fed = 0

    def feed(self, samples: Samples) -> Transcript | None:
        self.fed += len(samples)
        self.clock.now += 0.02
        return None

    def finish(self) -> Transcript:
        self.clock.now += 0.1
        return Transcript("", final=True)

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        self.clock.now += 5.0  # reading the prompt does not count
        yield Prefilled(None, 10, 0)
        while not stop.is_set() and not self.mute:
            self.clock.now += 0.05
            yield TextPiece("word ", 2)

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        if self.mute:
            return
        for _ in range(2):
            self.clock.now += 0.004
            yield SpeechChunk(np.zeros(100, dtype=np.float32))

    def close(self) -> None:
        """Nothing to free."""


def test_each_stage_is_measured_in_its_own_unit() -> None:
    clock = FakeClock()
    engine = FakeEngine(clock)
    assert measure_vad(engine, clock=clock).value == pytest.approx(1.0)
    assert measure_turn_detector(engine, 2, clock=clock).value == pytest.approx(30.0)
    assert measure_llm(engine, 3, clock=clock).value == pytest.approx(25.0)
    speed, samples = measure_tts(engine, clock=clock)
    assert speed.value == pytest.approx(4.0)
    assert samples.shape == (200,)


def test_recogniser_gets_the_whole_speech() -> None:
    clock = FakeClock()
    engine = FakeEngine(clock)
    speed = measure_asr(engine, np.zeros(16_050, dtype=np.float32), clock=clock)
    assert engine.fed == 16_050
    assert speed.value == pytest.approx((11 * 0.02 + 0.1) / (16_050 / 16_000))


def test_silent_engine_is_an_engine_error() -> None:
    clock = FakeClock()
    with pytest.raises(EngineError, match="wrote nothing"):
        measure_llm(FakeEngine(clock, mute=True), 1, clock=clock)
    with pytest.raises(EngineError, match="said nothing"):
        measure_tts(FakeEngine(clock, mute=True), clock=clock)


def _speeds(times: dict[int, float]) -> list[Speed]:
    return [Speed("llm", threads, value, "ms a token") for threads, value in times.items()]


@pytest.mark.parametrize(
    ("times", "best"),
    [
        ({1: 17.0, 2: 32.0}, 1),
        ({1: 40.0, 2: 25.0, 4: 24.0}, 2),
        ({1: 40.0, 2: 39.0, 4: 20.0}, 4),
        ({2: 5.0}, 2),
    ],
)
def test_more_threads_must_be_worth_it(times: dict[int, float], best: int) -> None:
    assert best_threads(_speeds(times)) == best


@given(st.dictionaries(st.integers(1, 64), st.floats(0.1, 1e4), min_size=1))
def test_choice_was_measured_and_is_near_the_fastest(times: dict[int, float]) -> None:
    chosen = best_threads(_speeds(times))
    assert (
        times[chosen] * 0.9
        <= min(value for threads, value in times.items() if threads >= chosen) + 1e-9
    )
    assert times[chosen] <= times[min(times)]


def test_nothing_counted_is_an_error() -> None:
    with pytest.raises(ValueError, match="thread count"):
        best_threads([Speed("vad", None, 1.0, "ms a frame")])


def test_counts_never_exceed_the_cores() -> None:
    assert thread_counts(1) == (1,)
    assert thread_counts(6) == (1, 2, 4)
    assert thread_counts(0) == (1,)


def test_choice_is_kept_for_this_machine_and_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache" / "tuning.json"
    assert chosen_threads("llm", path=path) is None
    assert keep_threads("llm", "smol", _speeds({1: 9.0, 2: 5.0}), path=path) == 2
    keep_threads("turn", "smart", _speeds({1: 9.0}), path=path)
    assert chosen_threads("llm", path=path) == 2
    assert chosen_threads("llm", "smol", path=path) == 2
    assert chosen_threads("llm", "other", path=path) is None
    monkeypatch.setattr(tuning, "host_key", lambda: "another machine")
    assert chosen_threads("llm", path=path) is None
    keep_threads("llm", "smol", _speeds({1: 1.0}), path=path)
    monkeypatch.undo()
    assert chosen_threads("llm", path=path) == 2


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": "voicebot.tuning/1", "hosts": []}', '{"schema": "other/9"}'],
)
def test_damaged_cache_is_as_none_and_is_mended(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tuning.json"
    path.write_text(content)
    assert chosen_threads("llm", path=path) is None
    keep_threads("llm", "smol", _speeds({1: 1.0}), path=path)
    assert chosen_threads("llm", path=path) == 1


@pytest.mark.parametrize("entry", [None, 3, {"threads": 2}, {"model": "m", "threads": 0}])
def test_nonsense_in_the_cache_is_never_a_thread_count(tmp_path: Path, entry: object) -> None:
    path = tmp_path / "tuning.json"
    hosts = {tuning.host_key(): {"llm": entry}}
    path.write_text(json.dumps({"schema": "voicebot.tuning/1", "hosts": hosts}))
    assert chosen_threads("llm", path=path) is None
