"""Whisper in CTranslate2's form, as faster-whisper runs it.

The repositories are those that faster-whisper 1.2.1 itself names (its ``utils.py``). Sizes and
licences were read on the files page of each repository (``huggingface.co/REPOSITORY/tree/main``);
parameter counts are those of Whisper's own paper and of the Distil-Whisper cards.
"""

from __future__ import annotations

from voicebot.models.registry.model import SEE_MODEL_CARD, HubSource, Model

__all__ = ["RECOGNISERS"]

_MB = 10**6
_PATTERNS = (
    "model.bin",
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.*",
)


def _whisper(
    size: str,
    repository: str,
    parameters_m: int,
    shown_mb: float | None,
    *,
    licence: str = "MIT",
) -> Model:
    only_english = size.endswith(".en") or size.startswith("distil-")
    return Model(
        name=f"faster-whisper-{size}",
        role="asr",
        languages=("en",) if only_english else ("mul",),
        size_bytes=None,
        licence=licence,
        engine="faster_whisper",
        source=HubSource(repository, _PATTERNS),
        shown_bytes=None if shown_mb is None else round(shown_mb * _MB),
        parameters=parameters_m * _MB,
        read_from=f"https://huggingface.co/{repository}/tree/main",
    )


RECOGNISERS: tuple[Model, ...] = (
    _whisper("tiny", "Systran/faster-whisper-tiny", 39, 78.2),
    _whisper("tiny.en", "Systran/faster-whisper-tiny.en", 39, 78.1),
    _whisper("base", "Systran/faster-whisper-base", 74, 148),
    _whisper("base.en", "Systran/faster-whisper-base.en", 74, 148),
    _whisper("small", "Systran/faster-whisper-small", 244, 487),
    _whisper("small.en", "Systran/faster-whisper-small.en", 244, None),
    _whisper("medium", "Systran/faster-whisper-medium", 769, 1530),
    _whisper("medium.en", "Systran/faster-whisper-medium.en", 769, 1530),
    _whisper("large-v3", "Systran/faster-whisper-large-v3", 1550, 3090),
    _whisper("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", 809, 1620),
    _whisper("distil-small.en", "Systran/faster-distil-whisper-small.en", 166, 335),
    _whisper("distil-medium.en", "Systran/faster-distil-whisper-medium.en", 394, 792),
    _whisper("distil-large-v3", "Systran/faster-distil-whisper-large-v3", 756, None),
    _whisper(
        "distil-large-v3.5",
        "distil-whisper/distil-large-v3.5-ct2",
        756,
        None,
        licence=SEE_MODEL_CARD,
    ),
)
"""Smallest first; the distilled ones, which know English only, at the end."""
