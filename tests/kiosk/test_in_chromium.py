"""The page in a real browser, with a recorded caller as its microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from kiosk_server import kiosk_server

from chromium import CHROMIUM, Tab, chromium
from conversations import scripted
from voicebot.audio.files import read_audio
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.statistics import word_errors
from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.choice import choose_profile
from voicebot.config import Settings
from voicebot.engines.scripted import ScriptedAsr, ScriptedLlm
from voicebot.languages import LANGUAGES
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.text.normalise import normalise_words

if TYPE_CHECKING:
    from pathlib import Path

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
        tab.wait_for(
            "document.querySelectorAll('.exchange').length === 2 && kiosk.state === 'speaking'"
        )
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


def test_where_it_is_held_the_microphone_is_silent_otherwise(tmp_path: Path) -> None:
    voice = utterance()
    microphone = caller_file(tmp_path / "caller.wav", 1.0, voice, 3.0, voice, 60.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with kiosk_server(stages, touch="hold") as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        tab.evaluate("kiosk.hold(true)")
        tab.wait_for("kiosk.facts.sentFrames > 5")
        tab.evaluate("kiosk.hold(false)")
        tab.wait_for("kiosk.facts.sentFrames > 330")  # beyond the first utterance
        assert not kiosk.visits.outcomes
        tab.evaluate("kiosk.hold(true)")
        tab.wait_for("document.querySelector('.exchange.is-over')")


def test_speech_alone_begins_where_that_is_set(tmp_path: Path) -> None:
    microphone = caller_file(tmp_path / "caller.wav", 2.0, utterance(), 60.0)
    stages = scripted(asr=ScriptedAsr(WORDS), llm=says(SHORT))
    with kiosk_server(stages, start="speech") as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.seat === 'yours' && kiosk.state === 'inviting'")
        tab.wait_for("document.querySelector('.exchange.is-over')")
        assert kiosk.visits.visits == 1


@pytest.mark.models
def test_the_embedded_profile_understands_and_answers_through_the_browser(tmp_path: Path) -> None:
    settings, store = Settings(), ModelStore(default_models_dir())
    profile = choose_profile(settings)
    for name in profile.models:
        if not store.is_ready(name):
            pytest.skip(f"{name} is not here: run voicebot models pull")
    caller = load_callers(recorded_callers_dir(), "question")[0].turns[0]
    microphone = caller_file(tmp_path / "caller.wav", 1.5, utterance(), 60.0)
    factories = engine_factories(profile, settings, store)
    opened = running_stages(factories, stage_timeout_s=30.0)
    with kiosk_server(open_stages=lambda _: opened) as kiosk, chromium(microphone) as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'", 60.0)
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("document.querySelector('.exchange.is-over')", 60.0)
        heard = tab.evaluate("document.querySelector('.you .words').innerText")
        assert caller.text is not None
        errors, words = word_errors([(caller.text, heard)], normalise_words)
        assert errors <= words / 2
        assert tab.evaluate("document.querySelector('.bot .words').innerText.trim()")
        assert tab.evaluate("kiosk.facts.heardSamples") > 1000
        assert "conversation" in tab.evaluate(
            "document.getElementById('read-out').ariaLabel.toLowerCase()"
        )


def test_every_language_has_all_words_and_every_control_a_name() -> None:
    with kiosk_server(languages="de,fr,es") as kiosk, chromium() as tab:
        tab.open(kiosk.url)
        tab.wait_for("window.kiosk?.state === 'inviting'")
        keys = tab.evaluate(
            "import('/assets/wording.js').then(({WORDING}) => Object.values(WORDING).map((words) =>"
            "[words, words.notices, words.parts].map((one) => Object.keys(one).sort().join())))"
        )
        assert len(keys) == len(LANGUAGES)
        assert all(one == keys[0] for one in keys)
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        controls = [
            node
            for node in nodes
            if node.get("role", {}).get("value") in {"button", "slider", "log", "heading"}
        ]
        assert len(controls) >= 7
        assert all(node["name"]["value"].strip() for node in controls)
        # A microphone that is refused is said, and the page is as it was.
        tab.evaluate(
            "navigator.mediaDevices.getUserMedia = "
            "() => Promise.reject(new DOMException('no', 'NotAllowedError'))"
        )
        tab.evaluate("document.getElementById('talk').click()")
        tab.wait_for("document.getElementById('notice').innerText.includes('not allowed')")
        assert tab.evaluate("kiosk.state + kiosk.seat") == "invitingfree"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    with kiosk_server() as kiosk, chromium() as tab:
        tab.prefer(prefers_color_scheme=scheme)
        for path in ("/", "/technician"):
            tab.open(kiosk.url + path)
            names = ["--ink", "--ink-soft", "--ink-faint", "--soft", "--alert", "--warn"]
            for ground in ("--ground", "--ground-high", "--card"):
                under = colour_of(tab, ground)
                for name in names:
                    over = colour_of(tab, name)
                    if over and under:
                        assert contrast(over, under) >= 4.5, (path, name, ground)


def colour_of(tab: Tab, name: str) -> str:
    style = "getComputedStyle(document.documentElement)"
    return str(tab.evaluate(f"{style}.getPropertyValue('{name}').trim()"))


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines 2.2 define it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
