"""Building the recogniser that was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.tuning import chosen_threads, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr
    from voicebot.models.store import ModelStore

__all__ = ["asr_factory"]

_MOST_THREADS = 4


def asr_factory(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Asr]:
    """How to build the recogniser; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine.
        ModelMissingError: its model is not in the store.
    """
    if choice.engine == "pocketsphinx":
        return _pocketsphinx
    if choice.engine == "faster-whisper":
        return _faster_whisper(choice, settings, store)
    raise ConfigError(
        f"asr.engine = {choice.engine} is not here yet", "choose pocketsphinx or faster-whisper"
    )


def _pocketsphinx() -> Asr:
    from voicebot.engines.pocketsphinx import PocketSphinxAsr  # noqa: PLC0415

    return PocketSphinxAsr()


def _faster_whisper(
    choice: StageChoice, settings: Settings, store: ModelStore
) -> Callable[[], Asr]:
    folder = _folder(choice.model, store)
    asr = settings.asr

    def build() -> Asr:
        from voicebot.engines.faster_whisper import load_faster_whisper  # noqa: PLC0415
        from voicebot.engines.streaming_recogniser import StreamingRules  # noqa: PLC0415

        return load_faster_whisper(
            folder,
            language=asr.language or settings.language,
            device=asr.device,
            compute_type=asr.compute_type,
            threads=asr.threads
            or chosen_threads("asr", choice.model)
            or min(_MOST_THREADS, usable_cores()),
            padding_s=asr.padding_s,
            beam_size=asr.beam_size,
            rules=StreamingRules(
                every_s=asr.partial_every_ms / 1000.0,
                share=asr.partial_share,
                window_s=asr.window_s,
                context_words=asr.context_words,
                prompt=asr.prompt,
                word_times=asr.word_times,
            ),
        )

    return build


def _folder(model: str, store: ModelStore) -> Path:
    path = Path(model).expanduser()
    return path if path.is_dir() else store.path(model)
