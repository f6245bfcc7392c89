"""The clients against Wyoming servers of other projects, where those are installed.

TEST_WYOMING_ASR and TEST_WYOMING_TTS may name running ones (tcp://HOST:PORT).
"""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from voicebot.audio.files import read_audio
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.engines.server_url import tcp_address
from voicebot.engines.wyoming_asr import WyomingAsr
from voicebot.engines.wyoming_client import WyomingServer
from voicebot.engines.wyoming_tts import WyomingTts

pytestmark = pytest.mark.models


def server(variable: str) -> WyomingServer:
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"{variable} names no server")
    return WyomingServer(tcp_address(variable, url), variable, 2.0, 30.0)


def test_another_recogniser_understands_a_turn_and_its_continuation() -> None:
    asr = WyomingAsr(server("TEST_WYOMING_ASR"), language="en")
    samples = read_audio(load_callers(recorded_callers_dir())[0].turns[0].path).samples
    half = len(samples) // 2
    asr.start()
    for at in range(0, half, 1600):
        asr.feed(samples[at : at + 1600])
    asr.finish()
    asr.feed(samples[half:])
    whole = asr.finish()
    asr.start()
    asr.feed(samples)
    assert asr.finish() == whole
    assert whole.text
    asr.close()


def test_another_voice_speaks() -> None:
    tts = WyomingTts(server("TEST_WYOMING_TTS"))
    for _ in range(2):
        chunks = list(tts.synthesise("How many days are in a week?", threading.Event()))
        samples = np.concatenate([chunk.samples for chunk in chunks])
        assert 0.5 < len(samples) / tts.sample_rate_hz < 10
        assert np.abs(samples).max() > 0.01
    tts.close()
