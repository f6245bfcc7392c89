"""Voice activity by Silero VAD v6, as an ONNX model.

The model is a recurrent network by the Silero Team (https://github.com/snakers4/silero-vad, MIT).
It reads 512 new samples at 16 kHz behind the 64 samples before them, and carries an LSTM's state.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples

__all__ = ["SileroVad", "bundled_model_path"]

_FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_BUNDLED_PACKAGE = "faster_whisper"
_BUNDLED_FILE = Path("assets", "silero_vad_v6.onnx")


def bundled_model_path() -> Path:
    """Where the model lies that the faster-whisper package brings along.

    The package is looked up, not imported: its import takes seconds.

    Raises:
        ModelMissingError: the package or the file in it is absent.
    """
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _BUNDLED_FILE
        if path.is_file():
            return path
    raise ModelMissingError(
        f"the voice activity model {_BUNDLED_FILE.name} is not in the faster-whisper package",
        "install faster-whisper 1.2.1 again",
    )


class SileroVad:
    """How likely each frame of a stream is speech. A ``Vad``.

    Args:
        model_path: the ONNX file of Silero VAD v6.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: the file is not that model.
    """

    def __init__(self, model_path: Path) -> None:
        if not model_path.is_file():
            raise ModelMissingError(f"no voice activity model at {model_path}")
        import onnxruntime  # noqa: PLC0415 - heavy, paid for only when an engine is loaded

        options = onnxruntime.SessionOptions()
        # The network is too small to be shared out: a second thread only spins.
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._input = np.zeros((1, _CONTEXT_SAMPLES + _FRAME_SAMPLES), dtype=np.float32)
        self._frame = self._input[0, _CONTEXT_SAMPLES:]
        self._context = self._input[0, :_CONTEXT_SAMPLES]
        self._hidden = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._cell = np.zeros(_STATE_SHAPE, dtype=np.float32)
        try:
            self._session = onnxruntime.InferenceSession(
                str(model_path), sess_options=options, providers=["CPUExecutionProvider"]
            )
            self._run()  # the first run allocates; it also proves that inputs and outputs fit
        except Exception as error:
            raise ModelDamagedError(
                f"{model_path.name} cannot be read as Silero VAD v6", "fetch it again"
            ) from error
        self.reset()

    @property
    def frame_samples(self) -> int:
        """Samples a frame, at 16 kHz."""
        return _FRAME_SAMPLES

    def probability(self, frame: Samples) -> float:
        """Probability that ``frame`` is speech, given the frames before it.

        Args:
            frame: shape (512,), float32, 16 kHz. NaN and infinities count as silence, and
                samples are cut to [-1, 1], since the state would carry them on for good.

        Raises:
            EngineError: the frame has another shape, or the model fails.
        """
        if frame.shape != (_FRAME_SAMPLES,):
            raise EngineError(
                f"a voice activity frame has shape ({_FRAME_SAMPLES},), not {frame.shape}"
            )
        self._context[:] = self._frame[-_CONTEXT_SAMPLES:]
        self._frame[:] = frame
        np.nan_to_num(self._frame, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        np.clip(self._frame, -1.0, 1.0, out=self._frame)
        try:
            probability, self._hidden, self._cell = self._run()
        except Exception as error:
            raise EngineError(f"the voice activity model failed ({error})") from error
        return float(probability[0])

    def reset(self) -> None:
        """Forget what was heard, as for a new stream."""
        self._input.fill(0.0)
        self._hidden = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._cell = np.zeros(_STATE_SHAPE, dtype=np.float32)

    def close(self) -> None:
        """Free the model."""
        del self._session

    def _run(self) -> tuple[Samples, Samples, Samples]:
        probability, hidden, cell = self._session.run(
            None, {"input": self._input, "h": self._hidden, "c": self._cell}
        )
        return probability, hidden, cell
