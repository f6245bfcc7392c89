"""The clients of Wyoming servers, against a server that misbehaves in every way."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.server_url import HostAndPort
from voicebot.engines.wyoming_asr import WyomingAsr
from voicebot.engines.wyoming_client import WyomingServer
from voicebot.engines.wyoming_tts import WyomingTts
from voicebot.errors import EngineError, EngineStuckError
from wyoming_scripts import ScriptedWyoming, scripted_wyoming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples

TIMEOUT_S = 0.5
TROUBLE = [
    ("closes", "closed the connection in the middle"),
    ("garbage", "does not speak Wyoming"),
    ("no_table", "does not speak Wyoming"),
    ("huge_payload", "does not speak Wyoming"),
    ("negative", "does not speak Wyoming"),
    ("huge_line", "does not speak Wyoming"),
    ("error", "out of memory"),
    ("hangs", "no sign of life for 0.5 s"),
]


@pytest.fixture
def server() -> Iterator[ScriptedWyoming]:
    with scripted_wyoming() as running:
        yield running


def place(server: ScriptedWyoming, timeout_s: float = TIMEOUT_S) -> WyomingServer:
    return WyomingServer(HostAndPort("127.0.0.1", server.port), "asr.url", 2.0, timeout_s)


@pytest.fixture
def asr(server: ScriptedWyoming) -> Iterator[WyomingAsr]:
    engine = WyomingAsr(place(server), language="en")
    yield engine
    engine.close()


@pytest.fixture
def tts(server: ScriptedWyoming) -> Iterator[WyomingTts]:
    engine = WyomingTts(place(server))
    yield engine
    engine.close()


def noise(seconds: float) -> Samples:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, round(seconds * INPUT_SAMPLE_RATE_HZ)).astype(np.float32)


def spoken(tts: WyomingTts, text: str = "Hello there.") -> Samples:
    chunks = list(tts.synthesise(text, threading.Event()))
    return np.concatenate([chunk.samples for chunk in chunks])


def wait_until(server: ScriptedWyoming, open_: int) -> bool:
    for _ in range(250):
        if server.open == open_:
            return True
        time.sleep(0.02)
    return False


# Recognition.


def test_all_audio_of_a_turn_is_heard(asr: WyomingAsr, server: ScriptedWyoming) -> None:
    asr.start()
    for _ in range(20):
        asr.feed(noise(0.01))
    assert asr.finish().text == "3200"
    transcribe = next(event for event in server.events if event.type == "transcribe")
    assert transcribe.data == {"language": "en"}


def test_audio_is_sent_while_it_comes_and_partials_come_back(
    asr: WyomingAsr, server: ScriptedWyoming
) -> None:
    asr.start()
    texts = []
    for _ in range(10):
        partial = asr.feed(noise(0.1))
        time.sleep(0.02)
        if partial is not None:
            assert not partial.final
            texts.append(partial.text)
    assert texts[-1] == "half a second"
    assert server.log.count("audio-chunk") >= 9
    assert "audio-stop" not in server.log
    assert asr.finish().text == "16000"


def test_a_turn_that_goes_on_is_heard_from_its_beginning(asr: WyomingAsr) -> None:
    asr.start()
    asr.feed(noise(0.5))
    assert asr.finish().text == "8000"
    assert asr.finish().text == "8000"
    asr.feed(noise(0.25))
    asr.feed(noise(0.25))
    assert asr.finish().text == "16000"
    asr.start()
    asr.feed(noise(0.1))
    assert asr.finish().text == "1600"


def test_silence_about_nothing(asr: WyomingAsr) -> None:
    asr.start()
    assert asr.finish().text == ""


@pytest.mark.parametrize(("mode", "line"), TROUBLE)
def test_a_failing_recogniser_is_one_line_and_the_next_turn_works(
    asr: WyomingAsr, server: ScriptedWyoming, mode: str, line: str
) -> None:
    server.mode = mode
    asr.start()
    asr.feed(noise(0.1))
    with pytest.raises(EngineError, match=line) as raised:
        asr.finish()
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, EngineStuckError) == (mode == "hangs")
    server.mode = ""
    asr.start()
    asr.feed(noise(0.1))
    assert asr.finish().text == "1600"


def test_a_connection_lost_in_the_turn_is_made_anew(
    asr: WyomingAsr, server: ScriptedWyoming
) -> None:
    server.mode = "closes_in_audio"
    asr.start()
    asr.feed(noise(0.1))
    time.sleep(0.05)
    for _ in range(3):
        asr.feed(noise(0.1))
    server.mode = ""
    assert asr.finish().text == "6400"


def test_a_server_that_went_away_is_met_by_the_transcript() -> None:
    with scripted_wyoming() as server:
        asr = WyomingAsr(place(server))
    asr.start()
    asr.feed(noise(0.1))
    with pytest.raises(EngineError, match="cannot be reached"):
        asr.finish()
    asr.close()


def test_an_abandoned_turn_leaves_no_connection(asr: WyomingAsr, server: ScriptedWyoming) -> None:
    for _ in range(3):
        asr.start()
        asr.feed(noise(0.1))
    assert wait_until(server, 1)
    asr.close()
    assert wait_until(server, 0)


@pytest.mark.parametrize(
    ("model", "language", "line"),
    [
        ("huge", "en", "has no model huge: it has tiny; choose one with asr.model"),
        ("", "fr", "does not know the language fr: it knows de, en"),
    ],
)
def test_what_the_recogniser_does_not_have_is_one_line(
    server: ScriptedWyoming, model: str, language: str, line: str
) -> None:
    with pytest.raises(EngineError, match=line):
        WyomingAsr(place(server), model=model, language=language)


def test_loading_from_what_is_no_such_server(server: ScriptedWyoming) -> None:
    server.is_asr = server.is_tts = False
    with pytest.raises(EngineError, match="recognises no speech"):
        WyomingAsr(place(server))
    with pytest.raises(EngineError, match="does not speak"):
        WyomingTts(place(server))
    server.mode = "odd_info"
    with pytest.raises(EngineError, match="describes itself in a way"):
        WyomingAsr(place(server))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = HostAndPort("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(EngineStuckError, match=r"no sign of life for 0\.2 s"):
            WyomingAsr(WyomingServer(address, "asr.url", 2.0, 0.2))
    with pytest.raises(EngineError, match=r"cannot be reached .*start it, or correct tts\.url"):
        WyomingTts(WyomingServer(address, "tts.url", 2.0, 0.2))


# Synthesis.


@pytest.mark.parametrize("streams", [False, True])
def test_a_clause_is_spoken_without_its_leading_silence(
    server: ScriptedWyoming, *, streams: bool
) -> None:
    server.streams = streams
    tts = WyomingTts(place(server))
    connections = server.connections
    assert tts.sample_rate_hz == 22_050
    for _ in range(2):
        samples = spoken(tts)
        assert len(samples) / 22_050 == pytest.approx(1.0, abs=0.02)
        assert np.abs(samples[:441]).max() > 0.1
        assert np.abs(samples).max() == pytest.approx(10_000 / 32_768, abs=0.01)
    assert server.connections == connections
    assert ("synthesize-start" in server.log) == streams
    tts.close()
    assert wait_until(server, 0)


@pytest.mark.parametrize(
    ("format_", "seconds"), [((16_000, 1, 1), 2.0), ((48_000, 2, 2), 0.5), ((8_000, 4, 1), 0.5)]
)
def test_other_formats_are_brought_to_mono_samples(
    server: ScriptedWyoming, format_: tuple[int, int, int], seconds: float
) -> None:
    server.format = format_
    tts = WyomingTts(place(server), trims=False)
    assert tts.sample_rate_hz == format_[0]
    samples = spoken(tts)
    assert samples.dtype == np.float32
    assert len(samples) / format_[0] == pytest.approx(seconds + 0.1, abs=0.01)
    assert np.abs(samples).max() <= 1.0
    tts.close()


def test_a_rate_that_changes_later_is_resampled(tts: WyomingTts, server: ScriptedWyoming) -> None:
    server.format = (16_000, 2, 1)
    assert len(spoken(tts)) / 22_050 == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("mode", "line"), [*TROUBLE, ("breaks_off", "in the middle"), ("odd_format", "cannot be used")]
)
def test_a_failing_voice_is_one_line_and_the_next_clause_works(
    tts: WyomingTts, server: ScriptedWyoming, mode: str, line: str
) -> None:
    server.mode = mode
    with pytest.raises(EngineError, match=line) as raised:
        spoken(tts)
    assert "\n" not in str(raised.value)
    server.mode = ""
    assert len(spoken(tts))


def test_a_connection_that_the_server_closed_is_made_anew(
    tts: WyomingTts, server: ScriptedWyoming
) -> None:
    server.mode = "closes_behind"
    for _ in range(3):
        assert len(spoken(tts))
    server.mode = ""
    assert len(spoken(tts))
    server.mode = "closes_once"
    assert len(spoken(tts))


def test_stop_lets_go_of_the_server_at_once(tts: WyomingTts, server: ScriptedWyoming) -> None:
    slow = WyomingTts(place(server, 60.0))
    server.mode = "hangs"
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert list(slow.synthesise("Hello.", stop)) == []
    assert wait_until(server, 1)  # the other client's
    server.mode = ""
    assert len(spoken(slow))
    slow.close()


def test_nothing_is_asked_about_nothing(tts: WyomingTts, server: ScriptedWyoming) -> None:
    before = len(server.log)
    assert list(tts.synthesise(" … ", threading.Event())) == []
    assert len(server.log) == before


def test_a_voice_is_chosen_by_name_and_speaker(server: ScriptedWyoming) -> None:
    tts = WyomingTts(place(server), voice="bert#low")
    assert server.events[-1].data["voice"] == {"name": "bert", "speaker": "low"}
    tts.close()
    with pytest.raises(EngineError, match="no voice carl: it has anna, bert"):
        WyomingTts(place(server), voice="carl")
    with pytest.raises(EngineError, match="no speaker high: it has low"):
        WyomingTts(place(server), voice="bert#high")
