"""Speech recognition by Whisper, streaming: faster-whisper's models in this project's own loop.

``whisper_decoder.py`` holds the model, ``streaming_recogniser.py`` says when it decodes what.
docs/recognition.md explains both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.engines.streaming_recogniser import StreamingRecogniser, StreamingRules
from voicebot.engines.whisper_decoder import ComputeType, Device, WhisperDecoder
from voicebot.turns.silero import SileroVad, bundled_model_path

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.engines.protocols import Vad

__all__ = ["load_faster_whisper"]


def load_faster_whisper(
    folder: Path,
    *,
    language: str = "en",
    device: Device = "auto",
    compute_type: ComputeType = "auto",
    threads: int = 1,
    padding_s: float | None = None,
    beam_size: int = 1,
    rules: StreamingRules | None = None,
    vad: Vad | None = None,
) -> StreamingRecogniser:
    """A warm streaming recogniser from the model in ``folder``; nothing is fetched.

    Args:
        folder: a Whisper in CTranslate2's format: tiny to large, English or multilingual,
            distilled or turbo.
        language: its code, or ``auto``.
        device: see ``WhisperDecoder.load``.
        compute_type: see there.
        threads: CPU threads.
        padding_s: see there.
        beam_size: see there.
        rules: how a turn is recognised as it comes in.
        vad: voice activity for the recogniser alone; None is Silero VAD.

    Raises:
        ConfigError: another kind of model, or one that does not speak the language, or a device
            or compute type that is not to be had.
        ModelError: its files are missing, damaged or unsafe.
        EngineError: not enough memory.
    """
    decoder = WhisperDecoder.load(
        folder,
        language=language,
        device=device,
        compute_type=compute_type,
        threads=threads,
        padding_s=padding_s,
        beam_size=beam_size,
    )
    return StreamingRecogniser(
        decoder, vad or SileroVad(bundled_model_path()), rules or StreamingRules()
    )
