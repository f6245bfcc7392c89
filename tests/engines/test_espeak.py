from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.engines.espeak import EspeakTts
from voicebot.engines.espeak_library import EspeakLibrary, short_data_path
from voicebot.engines.speech_joins import JoinPauses
from voicebot.errors import ConfigError, ModelMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import SpokenWord

TEXT = "The bridge opened in 1883, so it is about 140 years old. It is well-known, and old."


class StopAfter:
    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def say(text: str, tts: EspeakTts | None = None) -> tuple[Samples, list[SpokenWord]]:
    chunks = list((tts or EspeakTts()).synthesise(text, threading.Event()))
    samples = [np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)]
    return np.concatenate(samples), [word for chunk in chunks for word in chunk.words]


def dbfs(samples: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9))


def test_speaks_at_a_good_level_without_clipping() -> None:
    samples, _ = say(TEXT)
    assert samples.dtype == np.float32
    assert 4 * 22050 < len(samples) < 12 * 22050
    assert dbfs(samples) > -30
    assert np.abs(samples).max() < 1


@pytest.mark.parametrize("text", ["Hello there.", "see", "!? <b> you", "😀 hi", "   then"])
def test_leading_silence_is_gone(text: str) -> None:
    samples, _ = say(text)
    # 10 ms windows: at most the few ms of lead and the one that they reach into are not audible.
    windows = samples[: 22050 // 10].reshape(-1, 245)
    audible = next(index for index, window in enumerate(windows) if dbfs(window) > -45)
    assert audible <= 1
    assert samples[0] == 0


def test_words_index_into_the_text_once_each_and_in_time() -> None:
    samples, words = say(TEXT)
    spoken = [TEXT[word.text_start : word.text_end] for word in words]
    assert spoken == (
        [
            "The",
            "bridge",
            "opened",
            "in",
            "1883",
            "so",
            "it",
            "is",
            "about",
            "140",
            "years",
            "old",
            "It",
            "is",
            "well-known",
            "and",
            "old",
        ]
    )
    starts = [word.start_s for word in words]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] < len(samples) / 22050


def test_words_come_with_the_chunk_they_begin_in() -> None:
    position = 0
    for chunk in EspeakTts().synthesise(TEXT, threading.Event()):
        end = position + len(chunk.samples)
        assert all(position <= round(word.start_s * 22050) < end for word in chunk.words)
        position = end


@pytest.mark.parametrize("text", ["", "  ", "...", "!?", "😀", "\0\x01", "—", "\ud800"])
def test_nothing_to_say(text: str) -> None:
    assert list(EspeakTts().synthesise(text, threading.Event())) == []


@pytest.mark.parametrize(
    "text",
    ["<b>bold</b> &amp; so", "[[h@l'oU]]", "naïve 日本語", "a\0b\x1b[0m\ud800 c", "a" * 2000,
     "word " * 300, "e\u0301 \u200d x", "<speak><voice name='x'>y</voice>"],
)  # fmt: skip
def test_anything_is_spoken_as_text(text: str) -> None:
    samples, words = say(text)
    assert dbfs(samples) > -30
    assert all(0 <= word.text_start < word.text_end <= len(text) for word in words)


def test_pause_follows_the_punctuation() -> None:
    pauses = JoinPauses(sentence_ms=400, comma_ms=200, none_ms=0)
    tts = EspeakTts(pauses=pauses)
    for text, ms in (("Hello.", 400), ("Hello,", 200), ('"Hello."', 400)):
        samples, _ = say(text, tts)
        silence = len(samples) - 1 - int(np.flatnonzero(samples)[-1])
        # The last audible 10 ms window may reach into silence.
        assert abs(silence - ms * 22.05) < 12 * 22.05


def test_stretches_meet_in_silence() -> None:
    samples, _ = say("hello " * 60, EspeakTts(pauses=JoinPauses(none_ms=20)))
    runs = np.split(samples, np.flatnonzero(np.diff((samples == 0).astype(int))) + 1)
    gaps = [run for run in runs if len(run) >= 400 and not run.any()]
    assert len(gaps) == 3
    assert np.abs(np.diff(samples)).max() < 0.7


def test_stops_within_a_stretch_and_between_chunks() -> None:
    tts = EspeakTts()
    assert list(tts.synthesise(TEXT, StopAfter(0))) == []
    assert list(tts.synthesise("word " * 100, StopAfter(5))) == []
    stop = threading.Event()
    stream = tts.synthesise(TEXT, stop)
    next(stream)
    stop.set()
    assert list(stream) == []
    again, fresh = say("Hello.", tts)[0], say("Hello.")[0]
    assert len(again) == pytest.approx(len(fresh), abs=200)


def test_two_engines_take_turns() -> None:
    english, german = EspeakTts("en-us", pitch=30), EspeakTts("de", rate_wpm=300)
    alone = [len(say(TEXT, tts)[0]) for tts in (english, german)]
    lengths = [0, 0]
    streams = [tts.synthesise(TEXT, threading.Event()) for tts in (english, german)]
    chunks = [list(pair) for pair in zip(*streams, strict=False)]
    for pair in chunks:
        for index, chunk in enumerate(pair):
            lengths[index] += len(chunk.samples)
    for index, stream in enumerate(streams):
        lengths[index] += sum(len(chunk.samples) for chunk in stream)
    # zip drops at most one chunk of the longer one; lengths vary by the voice's random phase.
    assert lengths == pytest.approx(alone, abs=0.2 * 22050)


def test_engines_on_two_threads() -> None:
    found: dict[str, list[int]] = {"en-us": [], "de": []}

    def speak(voice: str) -> None:
        tts = EspeakTts(voice)
        found[voice] += [len(say("Guten Tag my friend.", tts)[0]) for _ in range(10)]

    threads = [threading.Thread(target=speak, args=(voice,)) for voice in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lengths in found.values():
        assert len(lengths) == 10
        assert max(lengths) - min(lengths) < 0.05 * 22050


def test_an_error_in_the_callback_is_raised() -> None:
    class Broken:
        looks = 0

        def is_set(self) -> bool:
            self.looks += 1
            if self.looks > 1:
                raise RuntimeError("broken flag")
            return False

    with pytest.raises(RuntimeError, match="broken flag"):
        list(EspeakTts().synthesise("Hello.", Broken()))
    assert len(say("Hello.")[0]) > 0


def test_unknown_voice_names_close_ones() -> None:
    with pytest.raises(ConfigError, match="en-us") as caught:
        EspeakTts("en-uss")
    assert "close ones" in caught.value.way_out
    with pytest.raises(ConfigError):
        EspeakTts("")
    with pytest.raises(ConfigError):
        EspeakTts("a\0b")


@pytest.mark.parametrize("setting", [{"rate_wpm": 10}, {"pitch": 100}, {"volume": 0}])
def test_numbers_out_of_range(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        EspeakTts(**setting)


def test_rate_and_volume_count() -> None:
    plain, fast, soft = EspeakTts(), EspeakTts(rate_wpm=300), EspeakTts(volume=20)
    assert len(say(TEXT, fast)[0]) < 0.8 * len(say(TEXT, plain)[0])
    assert dbfs(say(TEXT, soft)[0]) < dbfs(say(TEXT, plain)[0]) - 6


def test_voices_are_listed() -> None:
    voices = EspeakTts.voices()
    assert {"en-us", "de"} <= {voice.language for voice in voices}
    assert all(voice.name for voice in voices)


def test_long_data_path_is_linked(tmp_path: Path) -> None:
    data = tmp_path / ("é" * 60) / ("x" * 60)
    data.mkdir(parents=True)
    (data / "phontab").write_text("here")
    folder, short = short_data_path(data)
    assert folder is not None
    with folder:
        assert len(str(short).encode()) <= 150
        assert (short / "phontab").read_text() == "here"
    assert short_data_path(tmp_path, max_bytes=10_000) == (None, tmp_path)
    with pytest.raises(ModelMissingError, match="longer than 10 bytes"):
        short_data_path(data, max_bytes=10)


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="no data"):
        EspeakLibrary(tmp_path / "lib.so", tmp_path)


@pytest.mark.parametrize("voice", ["en-gb", "EN-GB", "en-gb+f3", "fr-fr", "de"])
def test_a_voice_is_found_by_its_language(voice: str) -> None:
    samples, _ = say("one two", EspeakTts(voice))
    assert len(samples) > 4000
