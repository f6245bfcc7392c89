"""The word that must be said before the bot listens."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr

from conversations import RATE_HZ, silence, tone
from voicebot.audio.blocks import AudioBlock
from voicebot.engines.espeak import EspeakTts
from voicebot.errors import ConfigError
from voicebot.input_gate import InputGate
from voicebot.wake_word import MicroWakeWordSpotter, WakeRule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.audio.samples import Samples

    Run = Callable[[Any], Any]

BLOCK_S = 0.01


class LoudSpotter:
    """Takes any loud block for the word."""

    def hears(self, samples: Samples) -> bool:
        return bool(np.abs(samples).max() > 0.1)


def blocks(*parts: Samples) -> list[AudioBlock]:
    sound = np.concatenate(parts)
    size = round(BLOCK_S * RATE_HZ)
    return [AudioBlock(sound[at : at + size], at / RATE_HZ) for at in range(0, len(sound), size)]


def awake_spans(rule: WakeRule, heard: list[AudioBlock]) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for block in heard:
        if rule(block):
            if spans and spans[-1][1] == pytest.approx(block.start_s):
                spans[-1] = (spans[-1][0], block.end_s)
            else:
                spans.append((block.start_s, block.end_s))
    return spans


def test_it_is_awake_for_a_while_after_the_word() -> None:
    rule = WakeRule(LoudSpotter(), listen_s=2.0, is_idle=lambda: True)
    spans = awake_spans(rule, blocks(silence(1.0), tone(0.1), silence(5.0)))
    assert spans == [pytest.approx((1.0, 3.09), abs=0.02)]
    assert not rule.is_awake


def test_a_conversation_keeps_it_awake() -> None:
    now: list[float] = [0.0]
    rule = WakeRule(LoudSpotter(), listen_s=2.0, is_idle=lambda: not 1.5 < now[0] < 6.0)
    spans = []
    for block in blocks(silence(1.0), tone(0.1), silence(9.0)):
        now[0] = block.end_s
        spans += awake_spans(rule, [block])
    assert spans[-1][1] == pytest.approx(8.0, abs=0.03)


def test_what_goes_on_wakes_nobody() -> None:
    rule = WakeRule(LoudSpotter(), listen_s=2.0, is_idle=lambda: False)
    assert awake_spans(rule, blocks(silence(3.0))) == []


def test_a_shut_gate_passes_silence(virtual_time: Run) -> None:
    class Source:
        async def blocks(self) -> AsyncIterator[AudioBlock]:
            for block in blocks(tone(0.05)):
                yield block

    async def passed(gate: InputGate) -> list[AudioBlock]:
        told: list[AudioBlock] = []
        gate.add_listener(told.append)
        through = [block async for block in gate.blocks()]
        assert told == through
        return through

    shut = InputGate(Source())
    shut.is_open = False
    asleep = InputGate(Source(), wake=lambda _: False)
    for gate in (shut, asleep):
        through = virtual_time(passed(gate))
        assert [block.start_s for block in through] == [b.start_s for b in blocks(tone(0.05))]
        assert not any(block.samples.any() for block in through)
    through = virtual_time(passed(InputGate(Source(), wake=lambda _: True)))
    assert all(block.samples.any() for block in through)


def said(text: str, voice: str) -> Samples:
    engine = EspeakTts(voice=voice, rate_wpm=150)
    chunks = [chunk.samples for chunk in engine.synthesise(text, threading.Event())]
    rate_hz = engine.sample_rate_hz
    engine.close()
    resampled: Samples = soxr.resample(np.concatenate(chunks), rate_hz, RATE_HZ)
    return np.concatenate((silence(1.0), 0.5 * resampled, silence(0.7))).astype(np.float32)


@pytest.fixture(scope="module")
def pymicro() -> None:
    pytest.importorskip("pymicro_wakeword")


@pytest.mark.usefixtures("pymicro")
@pytest.mark.parametrize("voice", ["en-us", "en-us+m3"])
@pytest.mark.parametrize(("name", "word"), [("okay_nabu", "okay nabu"), ("alexa", "alexa")])
def test_the_package_hears_a_synthetic_voice(name: str, word: str, voice: str) -> None:
    spotter = MicroWakeWordSpotter(name)
    assert any(spotter.hears(block.samples) for block in blocks(said(word, voice)))


@pytest.mark.usefixtures("pymicro")
def test_the_package_does_not_hear_other_words() -> None:
    spotter = MicroWakeWordSpotter("okay_nabu")
    heard = blocks(said("what is the capital of france and how many people live there", "en-us"))
    assert not any(spotter.hears(block.samples) for block in heard)


def test_without_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymicro_wakeword", None)
    with pytest.raises(ConfigError, match=r"voicebot\[wake\]"):
        MicroWakeWordSpotter("okay_nabu")
