"""What a Piper voice says about itself: the ``.onnx.json`` beside its ``.onnx``.

Read without piper-tts, so that voices can be listed without loading anything heavy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voicebot.errors import ModelDamagedError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PiperVoiceFacts", "config_path", "read_config", "voice_facts"]

_AGAIN = "a Piper voice is two files, NAME.onnx and NAME.onnx.json: fetch both again"


@dataclass(frozen=True, slots=True)
class PiperVoiceFacts:
    """A voice as its config describes it.

    Attributes:
        language: a tag such as ``en_US``, or the name of the espeak voice that phonemises for it.
        quality: ``x_low``, ``low``, ``medium`` or ``high``; empty if it is not said.
        sample_rate_hz: of its audio.
        speakers: how many speak.
        speaker_ids: the number of each speaker by name; not every voice names its speakers.
        weights: ``tiny`` or ``shape-true`` for what stands in for a voice, else ``real``.
    """

    language: str
    quality: str
    sample_rate_hz: int
    speakers: int = 1
    speaker_ids: Mapping[str, int] = field(default_factory=dict)
    weights: str = "real"


def config_path(voice_path: Path) -> Path:
    """Where the config of the voice ``voice_path`` lies."""
    return voice_path.with_name(voice_path.name + ".json")


def read_config(voice_path: Path) -> dict[str, Any]:
    """The config of the voice ``voice_path``, an ``.onnx`` file.

    Raises:
        ModelMissingError: the voice has none.
        ModelDamagedError: it cannot be read.
    """
    path = config_path(voice_path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissingError(
            f"the voice {voice_path.name} has no {path.name} in {path.parent}", _AGAIN
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDamagedError(f"cannot read {path}: {error}", _AGAIN) from error
    if not isinstance(config, dict):
        raise ModelDamagedError(f"{path} is not the config of a Piper voice", _AGAIN)
    return config


def voice_facts(config: Mapping[str, Any], voice_path: Path) -> PiperVoiceFacts:
    """What ``config`` says.

    Raises:
        ModelDamagedError: it is not the config of a Piper voice.
    """
    try:
        language = config.get("language", {}).get("code") or config["espeak"]["voice"]
        facts = PiperVoiceFacts(
            language=str(language),
            quality=str(config["audio"].get("quality", "")),
            sample_rate_hz=int(config["audio"]["sample_rate"]),
            speakers=int(config["num_speakers"]),
            speaker_ids={str(k): int(v) for k, v in config.get("speaker_id_map", {}).items()},
            weights=str(config.get("voicebot", {}).get("weights", "real")),
        )
        symbols = config["phoneme_id_map"]
        is_whole = all(isinstance(symbols[symbol], list) for symbol in "_^$")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelDamagedError(
            f"{config_path(voice_path)} is not the config of a Piper voice "
            f"({type(error).__name__}: {error})",
            _AGAIN,
        ) from error
    if not is_whole or facts.sample_rate_hz < 1 or facts.speakers < 1:
        raise ModelDamagedError(
            f"{config_path(voice_path)} is not the config of a Piper voice", _AGAIN
        )
    return facts
