"""Turn completeness by smart-turn v3, from the sound of the turn.

The model (Pipecat, https://github.com/pipecat-ai/smart-turn, BSD-2) is the encoder of Whisper tiny
with a head that says how likely the speaker is done. It reads the last 8 s of a turn, which stand
at the end of its window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.turns.log_mel import LogMel

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples

__all__ = ["SmartTurn"]

_WINDOW_S = 8


class SmartTurn:
    """How likely a turn is complete. A ``TurnDetector``.

    Args:
        model_path: the ONNX file of smart-turn v3.
        threads: threads that share one inference.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: the file is not that model.
    """

    def __init__(self, model_path: Path, threads: int = 1) -> None:
        if not model_path.is_file():
            raise ModelMissingError(f"no turn completeness model at {model_path}")
        import onnxruntime  # noqa: PLC0415 - heavy, paid for only when an engine is loaded

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        # Waiting threads that spin would take a core from the stages that run beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._log_mel = LogMel(_WINDOW_S * INPUT_SAMPLE_RATE_HZ)
        try:
            self._session = onnxruntime.InferenceSession(
                str(model_path), sess_options=options, providers=["CPUExecutionProvider"]
            )
            # The first run allocates; it also proves that input and output fit.
            self._run(self._log_mel.compute(np.zeros(0, dtype=np.float32)))
        except Exception as error:
            raise ModelDamagedError(
                f"{model_path.name} cannot be read as smart-turn v3", "fetch it again"
            ) from error

    @property
    def window_s(self) -> float:
        """How much of the turn's latest audio it looks at, in seconds."""
        return float(_WINDOW_S)

    def completion(self, samples: Samples) -> float:
        """Probability that the turn is complete.

        Args:
            samples: shape (n,), float32, 16 kHz: the turn so far, of which the last 8 s count.
                NaN and infinities count as silence.

        Raises:
            EngineError: the samples have another shape, or the model fails.
        """
        if samples.ndim != 1:
            raise EngineError(f"a turn's samples have shape (n,), not {samples.shape}")
        heard = samples[-_WINDOW_S * INPUT_SAMPLE_RATE_HZ :]
        if not np.isfinite(heard).all():
            heard = np.nan_to_num(heard, nan=0.0, posinf=0.0, neginf=0.0)
        # Far beyond full scale, float32 sums of squares would overflow.
        heard = np.clip(heard, -1.0, 1.0)
        try:
            return self._run(self._log_mel.compute(heard))
        except Exception as error:
            raise EngineError(f"the turn completeness model failed ({error})") from error

    def close(self) -> None:
        """Free the model."""
        del self._session

    def _run(self, log_mel: Samples) -> float:
        # The graph ends in a sigmoid, although its output is named "logits".
        (probability,) = self._session.run(None, {"input_features": log_mel[np.newaxis]})
        return float(probability[0, 0])
