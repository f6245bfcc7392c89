from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.turns import silero
from voicebot.turns.silero import SileroVad, bundled_model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples

SPEECH = Path(__file__).parents[2].parent / "shared" / "speech"

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def vad() -> Iterator[SileroVad]:
    try:
        path = bundled_model_path()
    except ModelMissingError as error:
        pytest.skip(str(error))
    engine = SileroVad(path)
    yield engine
    engine.close()


@pytest.fixture
def speech() -> Samples:
    path = SPEECH / "sentences" / "brooklyn_bridge.flac"
    if not path.is_file():
        pytest.skip(f"no recordings at {SPEECH}")
    soundfile = pytest.importorskip("soundfile")
    samples, _ = soundfile.read(path, dtype="float32")
    return samples


def frames_of(samples: Samples, size: int = 512) -> Samples:
    return samples[: samples.size // size * size].reshape(-1, size)


def probabilities(vad: SileroVad, samples: Samples) -> Samples:
    return np.array([vad.probability(frame) for frame in frames_of(samples)])


def test_the_bundled_model_is_found_without_an_import() -> None:
    code = (
        "import sys; from voicebot.turns.silero import bundled_model_path; "
        "assert bundled_model_path().is_file(); "
        "assert not {'faster_whisper', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_a_missing_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "_BUNDLED_PACKAGE", "no_such_package_at_all")
    with pytest.raises(ModelMissingError, match="silero_vad_v6"):
        bundled_model_path()


def test_speech_is_told_from_silence(vad: SileroVad, speech: Samples) -> None:
    vad.reset()
    voiced = probabilities(vad, speech[4000:26000])
    vad.reset()
    silent = probabilities(vad, np.zeros(16000, np.float32))
    assert np.median(voiced) > 0.9
    assert silent.max() < 0.2


def test_frame_by_frame_equals_the_reference_in_one_batch(vad: SileroVad, speech: Samples) -> None:
    reference = pytest.importorskip("faster_whisper.vad").SileroVADModel(bundled_model_path())
    samples = frames_of(speech).ravel()
    vad.reset()
    # Not the last frame: the reference zeroes the end of it while it makes the first one's context.
    np.testing.assert_allclose(
        probabilities(vad, samples)[:-1], reference(samples.copy()).ravel()[:-1], atol=1e-4
    )


def test_reset_forgets_the_stream(vad: SileroVad, speech: Samples) -> None:
    vad.reset()
    first = probabilities(vad, speech)
    second = probabilities(vad, speech)
    vad.reset()
    third = probabilities(vad, speech)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, third)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38])
def test_bad_samples_do_not_poison_the_stream(vad: SileroVad, speech: Samples, bad: float) -> None:
    vad.reset()
    frame = np.full(512, bad, np.float32)
    assert 0.0 <= vad.probability(frame) <= 1.0
    assert not np.isnan(probabilities(vad, speech)).any()
    assert np.array_equal(frame, np.full(512, bad, np.float32), equal_nan=True)
    assert probabilities(vad, speech[4000:26000]).max() > 0.9


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_any_samples_give_a_probability(vad: SileroVad, values: list[float]) -> None:
    frame = np.resize(np.array(values, np.float32), 512)
    assert 0.0 <= vad.probability(frame) <= 1.0


@pytest.mark.parametrize("shape", [(511,), (513,), (0,), (1, 512), (512, 1)])
def test_a_wrong_shape_is_an_error(vad: SileroVad, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="512"):
        vad.probability(np.zeros(shape, np.float32))


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "silero.onnx"
    path.write_bytes(bundled_model_path().read_bytes()[:5000])
    with pytest.raises(ModelDamagedError, match=r"silero\.onnx"):
        SileroVad(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        SileroVad(tmp_path / "silero.onnx")
