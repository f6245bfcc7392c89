from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.turns.log_mel import LogMel, mel_filterbank
from voicebot.turns.silero import bundled_model_path
from voicebot.turns.smart_turn import SmartTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voicebot.audio.samples import Samples

    WhisperFeatures = Callable[[Samples], Samples]

SPEECH = Path(__file__).parents[2].parent / "shared" / "speech"
WINDOW_SAMPLES = 128_000


def model_path() -> Path | None:
    """The model where `VOICEBOT_TEST_SMART_TURN` names it, or among the fetched models."""
    named = os.environ.get("VOICEBOT_TEST_SMART_TURN")
    if named:
        return Path(named)
    found = sorted((Path(__file__).parents[2] / "models").rglob("smart-turn-v3*.onnx"))
    return found[0] if found else None


@pytest.fixture(scope="module")
def smart_turn() -> Iterator[SmartTurn]:
    path = model_path()
    if path is None or not path.is_file():
        pytest.skip("the smart-turn model has not been fetched")
    engine = SmartTurn(path)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def whisper_features() -> WhisperFeatures:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(chunk_length=8)

    def compute(samples: Samples) -> Samples:
        heard = samples[-WINDOW_SAMPLES:]
        return extractor(
            np.pad(heard, (WINDOW_SAMPLES - heard.size, 0)),
            sampling_rate=16_000,
            return_tensors="np",
            padding="max_length",
            max_length=WINDOW_SAMPLES,
            truncation=True,
            do_normalize=True,
        ).input_features[0]

    return compute


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    return LogMel(WINDOW_SAMPLES)


def test_the_filterbank_is_whispers() -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.WhisperFeatureExtractor(chunk_length=8).mel_filters
    np.testing.assert_allclose(mel_filterbank(), reference, atol=1e-12)


# Lengths around the places where a frame begins to hold audio, and where mirroring reaches it.
@pytest.mark.parametrize(
    "length",
    [
        1,
        50,
        160,
        400,
        16000,
        127399,
        127400,
        127600,
        127640,
        127799,
        127800,
        127801,
        127999,
        128000,
        128001,
        200000,
    ],
)
def test_features_equal_whispers_at_any_length(
    log_mel: LogMel, whisper_features: WhisperFeatures, length: int
) -> None:
    rng = np.random.default_rng(length)
    samples = (rng.normal(0.02, 0.1, length) * np.sin(np.arange(length) / 900)).astype(np.float32)
    np.testing.assert_allclose(log_mel.compute(samples), whisper_features(samples), atol=3e-4)


@given(
    length=st.integers(0, 140_000),
    level=st.sampled_from([1.0, 1e-2, 1e-4]),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None)
def test_features_equal_whispers(
    log_mel: LogMel, whisper_features: WhisperFeatures, length: int, level: float, seed: int
) -> None:
    samples = np.random.default_rng(seed).uniform(-level, level, length).astype(np.float32)
    np.testing.assert_allclose(log_mel.compute(samples), whisper_features(samples), atol=3e-4)


def test_one_call_leaves_nothing_for_the_next(log_mel: LogMel) -> None:
    short = np.random.default_rng(1).normal(0, 0.1, 9000).astype(np.float32)
    fresh = LogMel(WINDOW_SAMPLES).compute(short).copy()
    log_mel.compute(np.random.default_rng(2).normal(0, 0.5, WINDOW_SAMPLES).astype(np.float32))
    np.testing.assert_array_equal(log_mel.compute(short), fresh)


def test_the_audio_itself_is_left_alone(log_mel: LogMel) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, WINDOW_SAMPLES).astype(np.float32)
    before = samples.copy()
    log_mel.compute(samples)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.models
def test_a_finished_question_is_told_from_a_cut_one(smart_turn: SmartTurn) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = SPEECH / "phrases" / "student_long_female_en-US-Wavenet-C.flac"
    if not path.is_file():
        pytest.skip(f"no recordings at {SPEECH}")
    samples, rate_hz = soundfile.read(path, dtype="float32")
    whole = samples[: int(2.27 * rate_hz)]
    cut = samples[: int(1.6 * rate_hz)]
    assert smart_turn.window_s == 8.0
    assert smart_turn.completion(whole) > 0.9
    assert smart_turn.completion(cut) < 0.5


@pytest.mark.models
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_bad_samples_do_no_harm(smart_turn: SmartTurn, bad: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    good = smart_turn.completion(samples)
    spoilt = samples.copy()
    spoilt[::7] = bad
    assert 0.0 <= smart_turn.completion(spoilt) <= 1.0
    assert smart_turn.completion(samples) == good


@pytest.mark.models
def test_only_the_last_8_s_count(smart_turn: SmartTurn) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 150_000).astype(np.float32)
    assert smart_turn.completion(samples) == smart_turn.completion(samples[-WINDOW_SAMPLES:])
    assert 0.0 <= smart_turn.completion(samples[:0]) <= 1.0


@pytest.mark.models
def test_a_wrong_shape_is_an_error(smart_turn: SmartTurn) -> None:
    with pytest.raises(EngineError, match="shape"):
        smart_turn.completion(np.zeros((2, 100), np.float32))


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "smart-turn.onnx"
    path.write_bytes(b"\x08\x07not a model")
    with pytest.raises(ModelDamagedError, match=r"smart-turn\.onnx"):
        SmartTurn(path)


def test_another_model_is_not_taken_for_it() -> None:
    with pytest.raises(ModelDamagedError):
        SmartTurn(bundled_model_path())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        SmartTurn(tmp_path / "smart-turn.onnx")
