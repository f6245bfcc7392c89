from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.engines import whisper_decoder
from voicebot.engines.faster_whisper import load_faster_whisper
from voicebot.engines.streaming_recogniser import StreamingRules
from voicebot.engines.whisper_decoder import WhisperDecoder
from voicebot.errors import ConfigError, EngineError
from whisper_tools import load_tool

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples

BLOCK = 160
SENTENCE = "please turn the kitchen light on now"


class LevelVad:
    frame_samples = 512

    def probability(self, frame: Samples) -> float:
        return 0.99 if np.abs(frame).max() > 0.05 else 0.01

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def spoken(sentence: str, **silences: float) -> Samples:
    samples: Samples = load_tool("make_tiny_whisper").tone_speech(sentence, **silences)
    return samples


@pytest.mark.models
@pytest.mark.parametrize("padding_s", [0.5, 1.5, 2.5, None])
def test_words_are_understood_whatever_the_padding(
    tiny_whisper: Path, padding_s: float | None
) -> None:
    decoder = WhisperDecoder.load(tiny_whisper, padding_s=padding_s)
    heard = decoder.decode(spoken("turn the light on"), "")
    assert heard.text == "turn the light on"
    assert heard.mean_log_probability > -0.5
    assert heard.no_speech_probability < 0.5
    assert [word.text for word in decoder.word_times()] == heard.text.split()
    decoder.close()


@pytest.mark.models
def test_a_beam_understands_no_less(tiny_whisper: Path) -> None:
    decoder = WhisperDecoder.load(tiny_whisper, padding_s=2.5, beam_size=3)
    heard = decoder.decode(spoken("turn the light on"), "")
    assert heard.text == "turn the light on"
    assert heard.mean_log_probability > -0.5


@pytest.mark.models
def test_a_stream_gives_growing_partials_and_the_whole(tiny_whisper: Path) -> None:
    asr = load_faster_whisper(
        tiny_whisper,
        padding_s=2.5,
        rules=StreamingRules(every_s=0.3, share=1.0, word_times=True),
        vad=LevelVad(),
    )
    for _ in range(2):  # a second turn begins anew
        asr.start()
        samples = spoken(SENTENCE, tail_s=0.1)
        partials = []
        for at in range(0, len(samples), BLOCK):
            partial = asr.feed(samples[at : at + BLOCK])
            if partial is not None:
                partials.append(partial.text)
        final = asr.finish()
        assert final.text == SENTENCE
        assert len(partials) >= 3
        assert len(partials[0]) < len(SENTENCE)
        assert partials[-1] == SENTENCE  # the beginning of the pause was decoded
        assert [word.text for word in final.words] == SENTENCE.split()
    asr.close()


def test_with_silero_neither_silence_nor_noise_nor_music_is_text(untrained_whisper: Path) -> None:
    # The untrained model writes nonsense to whatever it is shown.
    asr = load_faster_whisper(untrained_whisper, padding_s=0.5)
    generator = np.random.default_rng(1)
    seconds = np.arange(3 * 16_000) / 16_000
    chord = sum(0.1 * np.sin(2 * np.pi * pitch * seconds) for pitch in (262, 330, 392))
    for samples in (
        np.zeros(48_000),
        generator.normal(0.0, 0.1, 48_000),
        np.asarray(chord),
        np.full(48_000, np.nan),
    ):
        asr.start()
        assert asr.feed(samples.astype(np.float32)) is None
        assert asr.finish().text == ""


def test_the_prompt_is_bounded_and_read(untrained_whisper: Path) -> None:
    decoder = WhisperDecoder.load(untrained_whisper, padding_s=0.5)
    tone = spoken("light")
    without = decoder.decode(tone, "")
    with_prompt = decoder.decode(tone, "turn the kitchen light on " * 100)
    assert without.tokens != with_prompt.tokens
    assert len(with_prompt.tokens) <= 12 + 8


def test_thirty_seconds_fit(untrained_whisper: Path) -> None:
    decoder = WhisperDecoder.load(untrained_whisper, padding_s=2.5)
    heard = decoder.decode(np.zeros(30 * 16_000, np.float32), "")
    assert len(heard.tokens) <= 224


def test_a_language_is_given_or_detected(untrained_whisper: Path) -> None:
    german = WhisperDecoder.load(untrained_whisper, language="de", padding_s=0.5)
    assert german.decode(spoken("light"), "").language == "de"
    detecting = WhisperDecoder.load(untrained_whisper, language="auto", padding_s=0.5)
    detected = detecting.decode(spoken(SENTENCE), "").language
    assert 2 <= len(detected) <= 3
    detecting.start()
    assert detecting.decode(spoken(SENTENCE), "").language == detected


def test_a_language_that_it_does_not_know_is_refused(untrained_whisper: Path) -> None:
    with pytest.raises(ConfigError, match="knows no language xx"):
        WhisperDecoder.load(untrained_whisper, language="xx")


@pytest.mark.models
def test_an_english_one_is_not_asked_for_german(tiny_whisper: Path) -> None:
    with pytest.raises(ConfigError, match="English only"):
        WhisperDecoder.load(tiny_whisper, language="de")
    heard = WhisperDecoder.load(tiny_whisper, language="auto", padding_s=2.5).decode(
        spoken("now"), ""
    )
    assert (heard.text, heard.language) == ("now", "en")


class _NoCards:
    @staticmethod
    def get_cuda_device_count() -> int:
        return 0

    @staticmethod
    def get_supported_compute_types(device: str) -> set[str]:
        return {"cpu": {"int8", "float32"}, "cuda": {"float16", "int8_float16"}}[device]


class _OneCard(_NoCards):
    @staticmethod
    def get_cuda_device_count() -> int:
        return 1


def test_the_device_and_the_arithmetic_that_fits_it() -> None:
    assert whisper_decoder._device("auto", _NoCards) == "cpu"
    assert whisper_decoder._device("auto", _OneCard) == "cuda"
    assert whisper_decoder._device("cpu", _OneCard) == "cpu"
    assert whisper_decoder._compute_type("auto", "cpu", _OneCard) == "int8"
    assert whisper_decoder._compute_type("auto", "cuda", _OneCard) == "float16"
    with pytest.raises(ConfigError, match="no CUDA device"):
        whisper_decoder._device("cuda", _NoCards)
    with pytest.raises(ConfigError, match="choose auto or one of float32, int8"):
        whisper_decoder._compute_type("bfloat16", "cpu", _NoCards)


def test_running_out_of_memory_is_one_line(
    untrained_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = WhisperDecoder.load(untrained_whisper, padding_s=0.5)

    def fail(features: object) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(decoder._model, "encode", fail)
    with pytest.raises(EngineError, match=r"not enough memory.*smaller"):
        decoder.decode(spoken("now"), "")
    monkeypatch.undo()
    decoder.decode(spoken("now"), "")


def test_128_mel_bands_a_hundred_languages_and_few_decoder_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = load_tool("make_tiny_whisper")
    shape = maker.SHAPES["turbo"]
    small = type(shape)(64, 3, 1, 2, shape.vocabulary, shape.mels)
    monkeypatch.setitem(maker.SHAPES, "turbo", small)
    maker.make_shape_true_whisper(tmp_path / "turbo", "turbo")
    assert (tmp_path / "turbo" / "SHAPE_TRUE.json").is_file()
    decoder = WhisperDecoder.load(tmp_path / "turbo", language="yue", padding_s=0.5)
    heard = decoder.decode(spoken("light"), "")
    assert heard.language == "yue"
    assert decoder.runs_as.startswith("ctranslate2 on cpu, int8")
    assert decoder.word_times()
