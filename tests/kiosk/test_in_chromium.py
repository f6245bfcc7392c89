"""The page in a real browser, with a recorded caller as its microphone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from chromium import CHROMIUM, chromium
from conversations import scripted
from kiosk_server import KioskServer, kiosk_server

from voicebot.audio.files import read_audio
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.engines.scripted import ScriptedAsr, ScriptedLlm

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

RATE_HZ = 16_000
WORDS = ["how", "old", "is", "the", "brooklyn", "bridge", "now"]
SHORT = "It is quite old."
LONG = "Let me tell you about it. " + "There is very much more to be said about the bridge. " * 6


def utterance() -> np.ndarray:
    """Somebody's recorded question."""
    caller = load_callers(recorded_callers_dir(), "question")[0]
    return np.asarray(read_audio(caller.turns[0].path).samples)


def caller_file(path: Path, *parts: float | np.ndarray) -> Path:
    """A WAV of recordings and of silences, those by their length in seconds."""
    pieces = [
        np.zeros(round(part * RATE_HZ), dtype=np.float32) if isinstance(part, float) else part
        for part in parts
    ]
    soundfile.write(path, np.concatenate(pieces), RATE_HZ, subtype="PCM_16")
    return path


def says(reply: str) -> ScriptedLlm:
    return ScriptedLlm(default=reply)


def until(kiosk: KioskServer, condition: object, seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_visitor_is_heard_answered_and_shown_both(tmp_path: Path) -> None:
    microphone = caller_file(tmp_path / "caller.wav", 1.0, utterance(), 20.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with kiosk_server(stages) as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        assert tab.evaluate("document.getElementById('title').textContent") == "Ask me anything"
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("kiosk.state === 'listening' && kiosk.seat === 'yours'")
        tab.wait_for("document.querySelector('.you')?.innerText.includes('how')")
        tab.wait_for("kiosk.state === 'speaking'")
        tab.wait_for("document.querySelector('.word.is-now')")
        tab.wait_for("document.querySelector('.exchange.is-over')")
        assert SHORT in tab.evaluate("document.querySelector('.bot').innerText")
        # Four words of 0.2 s of tone were played by the audio context, not only received.
        assert tab.evaluate("kiosk.facts.heardSamples") > 0.5 * RATE_HZ
        tab.wait_for("document.getElementById('latency').classList.contains('has-turn')")
        latency = tab.evaluate("kiosk.latency.last")
        assert latency["total_ms"] == pytest.approx(sum(latency["parts_ms"].values()), abs=1.0)
        # The page saw the sound leave at about the instant that the server had reckoned with.
        assert latency["page_ms"] == pytest.approx(latency["total_ms"], abs=100.0)
        assert not [line for line in tab.console if "rror" in line]


def test_speech_over_the_reply_interrupts_it(tmp_path: Path) -> None:
    voice = utterance()
    microphone = caller_file(tmp_path / "caller.wav", 1.0, voice, 4.0, voice, 20.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(LONG))
    with kiosk_server(stages) as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("kiosk.state === 'speaking'")
        tab.wait_for("document.querySelector('.exchange.is-cut')")
        said = tab.evaluate("document.querySelectorAll('.is-cut .word.is-said').length")
        words = tab.evaluate("document.querySelectorAll('.is-cut .word').length")
        assert 0 < said < words
        tab.wait_for("document.querySelectorAll('.exchange').length === 2 && kiosk.state === 'speaking'")
        assert kiosk.visits.outcomes["answered"] == 1


def test_a_conversation_outlives_a_lost_connection_and_a_reload(tmp_path: Path) -> None:
    microphone = caller_file(tmp_path / "caller.wav", 0.5, utterance(), 60.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with kiosk_server(stages) as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("document.querySelector('.exchange.is-over')")
        visits = kiosk.visits.visits

        tab.evaluate("kiosk.connection.socket.close()")
        tab.wait_for("document.documentElement.dataset.connection === 'lost'")
        tab.wait_for("document.documentElement.dataset.connection === 'open'")
        tab.wait_for("kiosk.seat === 'yours' && kiosk.isSending && kiosk.facts.sentFrames > 20")
        assert SHORT in tab.evaluate("document.querySelector('.bot').innerText")

        tab.call("Page.reload")
        tab.wait_for("window.kiosk?.seat === 'yours' && kiosk.isSending")
        tab.wait_for("document.querySelector('.bot')?.innerText.includes('quite old')")
        # The fake microphone plays its file anew for the new page: it is heard and answered.
        tab.wait_for("kiosk.facts.heardSamples > 4000")
        assert kiosk.visits.visits == visits


def test_an_idle_conversation_is_forgotten_and_the_page_says_so(tmp_path: Path) -> None:
    microphone = caller_file(tmp_path / "caller.wav", 0.5, utterance(), 60.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with kiosk_server(stages, forget_after_s=5.0) as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("document.querySelector('.exchange.is-over')")
        tab.wait_for("kiosk.state === 'inviting' && !document.getElementById('notice').hidden")
        assert "forgotten" in tab.evaluate("document.getElementById('notice').innerText")
        assert tab.evaluate("document.getElementById('captions').innerText.trim()") == ""
        tab.wait_for("!kiosk.microphone && !kiosk.loudspeaker")


def test_a_second_page_reads_along_and_cannot_talk(tmp_path: Path) -> None:
    microphone = caller_file(tmp_path / "caller.wav", 0.5, utterance(), 60.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with (
        kiosk_server(stages) as kiosk,
        chromium(microphone) as tab,
        chromium(microphone) as other,
    ):
        for one in (tab, other):
            one.open(kiosk.url)
            one.wait_for("window.kiosk?.state === 'inviting'")
        tab.evaluate("document.getElementById('talk').click()")
        other.wait_for("kiosk.seat === 'taken'")
        other.evaluate("document.getElementById('talk').click()")
        other.wait_for("document.querySelector('.bot')?.innerText.includes('quite old')")
        assert "Somebody" in other.evaluate("document.getElementById('state').innerText")
        assert other.evaluate("kiosk.facts.sentFrames") == 0
        tab.evaluate("document.getElementById('talk').click()")
        other.wait_for("kiosk.seat === 'free'")
