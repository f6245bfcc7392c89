from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voicebot.audio.files import audio_duration_s, read_audio, write_wav
from voicebot.errors import AudioFileError, OutputError


def tone(sample_rate_hz: int = 16_000, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    times = np.arange(round(sample_rate_hz * seconds)) / sample_rate_hz
    return level * np.sin(2 * np.pi * 440.0 * times)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.ogg", "VORBIS"),
    ],
)
@pytest.mark.parametrize("sample_rate_hz", [8_000, 16_000, 44_100])
def test_common_formats_become_16_khz_mono(
    tmp_path: Path, name: str, subtype: str, sample_rate_hz: int
) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(sample_rate_hz), sample_rate_hz, subtype=subtype)
    audio = read_audio(path)
    assert audio.samples.dtype == np.float32
    assert audio.samples.ndim == 1
    assert audio.samples.size == pytest.approx(8_000, abs=2)
    assert rms(audio.samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert (audio.source_sample_rate_hz, audio.channels) == (sample_rate_hz, 1)
    assert audio.warnings == ()
    assert audio_duration_s(path) == pytest.approx(0.5, abs=0.001)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack((tone(), np.zeros(8_000)), axis=1), 16_000, subtype="FLOAT")
    audio = read_audio(path)
    assert audio.channels == 2
    np.testing.assert_allclose(audio.samples, tone() / 2, atol=1e-6)


def test_a_file_of_many_blocks_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000).astype(np.float32)
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path).samples, samples, atol=1e-3)


def test_samples_that_are_no_numbers_become_silence(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    samples = tone()
    samples[[10, 20]] = np.nan
    samples[30] = np.inf
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    audio = read_audio(path)
    assert audio.samples[[10, 20, 30]].tolist() == [0.0, 0.0, 0.0]
    assert audio.warnings == ("3 samples are not numbers: they were made silent",)


def test_samples_beyond_full_scale_are_limited(tmp_path: Path) -> None:
    path = tmp_path / "hot.wav"
    soundfile.write(path, tone(level=3.0), 44_100, subtype="FLOAT")
    audio = read_audio(path)
    assert np.abs(audio.samples).max() <= 1.0
    assert len(audio.warnings) == 1
    assert "beyond full scale" in audio.warnings[0]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16"])
@pytest.mark.parametrize(("level", "clipped"), [(0.999, False), (2.0, True)])
def test_clipping_is_told_from_a_full_scale_peak(
    tmp_path: Path, subtype: str, level: float, clipped: bool
) -> None:
    path = tmp_path / "clipped.wav"
    # At 1.9 kHz no three neighbours of a whole sine round to one value, even with 8 bits.
    sine = level * np.sin(2 * np.pi * 1_900.0 * np.arange(8_000) / 16_000)
    soundfile.write(path, np.clip(sine, -1.0, 1.0), 16_000, subtype=subtype)
    warnings = read_audio(path).warnings
    if clipped:
        square = np.sign(sine)
        soundfile.write(path, square, 16_000, subtype=subtype)
        warnings = read_audio(path).warnings
    assert any("clipped" in warning for warning in warnings) == clipped


def test_a_flat_top_across_two_blocks_is_clipping(tmp_path: Path) -> None:
    path = tmp_path / "edge.wav"
    samples = np.zeros(70_000)
    samples[65_534:65_537] = 1.0
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    assert any("clipped" in warning for warning in read_audio(path).warnings)


def test_a_dc_offset_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "dc.wav"
    soundfile.write(path, tone(level=0.3) + 0.1, 16_000)
    audio = read_audio(path)
    assert abs(float(audio.samples.mean())) < 1e-4
    assert audio.warnings == ("the recording has a DC offset of +0.100: it was taken out",)


@pytest.mark.parametrize("samples", [np.zeros(1_000), tone(level=0.001), np.full(1_000, 0.5)])
def test_a_file_in_which_nothing_is_heard_warns(tmp_path: Path, samples: np.ndarray) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, samples, 16_000)
    assert any("nothing can be heard" in warning for warning in read_audio(path).warnings)


def cut(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def test_what_cannot_be_read_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is a letter, not a sound")
    (tmp_path / "headless.raw").write_bytes(bytes(1_000))
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16_000)
    for name in ("cut.wav", "cut.flac", "header.wav", "slow.wav"):
        soundfile.write(tmp_path / name, tone(), 16_000)
    cut(tmp_path / "cut.wav", 0.5)
    cut(tmp_path / "cut.flac", 0.5)
    (tmp_path / "header.wav").write_bytes((tmp_path / "header.wav").read_bytes()[:20])
    slow = bytearray((tmp_path / "slow.wav").read_bytes())
    slow[24:28] = struct.pack("<I", 1)
    (tmp_path / "slow.wav").write_bytes(slow)
    problems = {
        "missing.wav": "there is no audio file",
        "a\0b.wav": "cannot be read",
        "": "is a folder",
        "empty.wav": "is empty",
        "text.wav": "is not audio",
        "headless.raw": "is not audio",
        "nothing.wav": "holds no samples",
        "cut.wav": "truncated",
        "cut.flac": "truncated",
        "header.wav": "is not audio",
        "slow.wav": "1 samples a second",
    }
    for name, problem in problems.items():
        with pytest.raises(AudioFileError) as caught:
            read_audio(tmp_path / name)
        assert problem in caught.value.problem, name
        assert caught.value.way_out, name
        assert "\n" not in str(caught.value), name


def test_a_pipe_is_refused_without_waiting_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/null").exists():
        pytest.skip("no device files here")
    with pytest.raises(AudioFileError, match="not a regular file"):
        read_audio(Path("/dev/null"))
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    with pytest.raises(AudioFileError, match="not a regular file"):
        read_audio(pipe)


def test_no_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000)

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioFileError, match="cannot be read \\(Permission denied\\)"):
        read_audio(path)


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(601 * 1_000, dtype=np.int16), 1_000)
    with pytest.raises(AudioFileError, match="lasts 601 s, more than the limit of 600 s"):
        read_audio(path)
    assert audio_duration_s(path) == 601.0
    assert read_audio(path, longest_s=700.0).samples.size == 601 * 16_000


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wav_written_into_a_pipe_is_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(), 16_000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", length)
    path.write_bytes(data)
    if length:
        assert read_audio(path).samples.size == 8_000
    else:
        with pytest.raises(AudioFileError, match="holds no samples"):
            read_audio(path)


def test_a_recording_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    samples = (np.random.default_rng(1).integers(-32_768, 32_768, 5_000) / 32_768).astype(
        np.float32
    )
    write_wav(path, samples, 16_000)
    np.testing.assert_array_equal(read_audio(path).samples, samples)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.wav"]


def test_a_recording_is_limited_to_full_scale(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    write_wav(path, np.array([2.0, -2.0, np.nan, np.inf, 0.5], dtype=np.float32), 8_000)
    pcm, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == 8_000
    assert pcm.tolist() == [32_767, -32_768, 0, 32_767, 16_384]


def test_a_recording_of_two_dimensions_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        write_wav(tmp_path / "out.wav", np.zeros((2, 2), dtype=np.float32), 16_000)


def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"before")

    def full(self: Path, _data: object) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_wav(path, np.zeros(10, dtype=np.float32), 16_000)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.wav"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_wav(tmp_path / "no" / "out.wav", np.zeros(10, dtype=np.float32), 16_000)
    assert caught.value.way_out
