"""Whisper's log-mel spectrogram, in numpy and quick enough to stand on a turn's critical path.

After "Robust Speech Recognition via Large-Scale Weak Supervision" (Radford et al., 2022,
https://arxiv.org/abs/2212.04356): 25 ms Hann windows every 10 ms, 80 Slaney mel bands from 0 to
8 kHz, the logarithm floored 8 decades under the loudest value, scaled to about [-1, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples

__all__ = ["LogMel", "mel_filterbank"]

_WINDOW_SAMPLES = 400
_HOP_SAMPLES = 160
_MEL_BANDS = 80
_POWER_FLOOR = 1e-10
_DYNAMIC_RANGE_DECADES = 8.0
_VARIANCE_FLOOR = 1e-7

_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_LOG_START_HZ = 1000.0
_LOG_START_MEL = _LOG_START_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def _mel_from_hz(frequency_hz: float) -> float:
    if frequency_hz < _LOG_START_HZ:
        return frequency_hz / _LINEAR_HZ_PER_MEL
    return float(_LOG_START_MEL + np.log(frequency_hz / _LOG_START_HZ) / _LOG_STEP)


def _hz_from_mel(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LOG_START_HZ * np.exp(_LOG_STEP * (mel - _LOG_START_MEL))
    return np.where(mel < _LOG_START_MEL, mel * _LINEAR_HZ_PER_MEL, above)


def mel_filterbank() -> NDArray[np.float64]:
    """Triangles of equal area, evenly spaced on Slaney's mel scale (Auditory Toolbox, 1998).

    Returns:
        Shape (201, 80): the weight of each bin of the power spectrum in each band.
    """
    nyquist_hz = INPUT_SAMPLE_RATE_HZ / 2
    corners_hz = _hz_from_mel(np.linspace(0.0, _mel_from_hz(nyquist_hz), _MEL_BANDS + 2))
    left_hz, centre_hz, right_hz = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    bins_hz = np.linspace(0.0, nyquist_hz, _WINDOW_SAMPLES // 2 + 1)[:, np.newaxis]
    rising = (bins_hz - left_hz) / (centre_hz - left_hz)
    falling = (right_hz - bins_hz) / (right_hz - centre_hz)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    weights: NDArray[np.float64] = triangles * (2.0 / (right_hz - left_hz))
    return weights


class LogMel:
    """The log-mel spectrogram of the latest ``window_samples``, zeros standing before short audio.

    Frames that lie wholly in those zeros hold one constant, and so share one spectrum: only one
    of them is computed, which is exact and makes a short turn cheap.

    Args:
        window_samples: length of the window at 16 kHz, a multiple of 160.
    """

    def __init__(self, window_samples: int) -> None:
        self._window_samples = window_samples
        self._frames = window_samples // _HOP_SAMPLES
        self._hann = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
        # Float32 throughout: it agrees with float64 to a few 1e-5 and takes half the time.
        self._filterbank = mel_filterbank().astype(np.float32)
        self._padded = np.zeros(window_samples + _WINDOW_SAMPLES, dtype=np.float32)
        self._log_mel = np.zeros((_MEL_BANDS, self._frames), dtype=np.float32)

    def compute(self, samples: Samples) -> Samples:
        """The spectrogram of the last ``window_samples`` of ``samples``.

        The window, zeros included, is brought to zero mean and unit variance first.

        Args:
            samples: shape (n,), float32, 16 kHz, finite; any n.

        Returns:
            Shape (80, window_samples / 160), float32, overwritten by the next call.
        """
        heard = samples[-self._window_samples :]
        quiet_samples = self._window_samples - heard.size
        half = _WINDOW_SAMPLES // 2
        body = self._padded[half : half + self._window_samples]
        body[:quiet_samples] = 0.0
        body[quiet_samples:] = heard
        mean = body.mean(dtype=np.float64)
        # Var = E[x²] - mean², from the audio alone: the zeros add nothing to either sum.
        power = np.dot(body, body).item() / self._window_samples
        body -= np.float32(mean)
        body *= np.float32(1.0 / np.sqrt(max(power - mean * mean, 0.0) + _VARIANCE_FLOOR))
        self._padded[:half] = body[half:0:-1]
        self._padded[-half:] = body[-2 : -half - 2 : -1]

        # Frame k covers padded[160 k : 160 k + 400]; the mirrored start holds the same constant
        # as the zeros it mirrors, if there are enough of them.
        quiet_frames = max(0, (half + quiet_samples - _WINDOW_SAMPLES) // _HOP_SAMPLES + 1)
        quiet_frames = quiet_frames if quiet_samples > half else 0
        first = max(0, min(quiet_frames, self._frames) - 1)
        frames = sliding_window_view(self._padded, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
        spectrum = np.fft.rfft(frames[first : self._frames] * self._hann, axis=-1)
        power_spectrum = np.square(spectrum.real) + np.square(spectrum.imag)
        mel = np.matmul(power_spectrum.astype(np.float32, copy=False), self._filterbank)
        log_mel = np.log10(np.maximum(mel, _POWER_FLOOR, out=mel), out=mel)
        np.maximum(log_mel, log_mel.max() - _DYNAMIC_RANGE_DECADES, out=log_mel)
        log_mel += 4.0
        log_mel *= 0.25
        self._log_mel[:, first:] = log_mel.T
        self._log_mel[:, :first] = log_mel[0][:, np.newaxis]
        return self._log_mel
