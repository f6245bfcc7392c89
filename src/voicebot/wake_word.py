"""A word that must be said before the bot listens.

The word is found by microWakeWord's models through the package pymicro-wakeword (Apache-2.0), whose
wheel holds both the models and the runtime; nothing is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples

__all__ = ["MicroWakeWordSpotter", "WakeRule", "WordSpotter"]

_FULL_SCALE = 32_767


class WordSpotter(Protocol):
    """Listens for one word."""

    def hears(self, samples: Samples) -> bool:
        """Whether the word ends in ``samples``, which follow those of the last call (16 kHz)."""
        ...


class MicroWakeWordSpotter:
    """microWakeWord; takes about 2 ms of processor time for a second of sound.

    Args:
        name: a model of the package, as ``okay_nabu``.

    Raises:
        ConfigError: the package is not installed, or has no such model.
    """

    def __init__(self, name: str) -> None:
        try:
            from pymicro_wakeword import (  # noqa: PLC0415  # an extra; loads a runtime
                MicroWakeWord,
                MicroWakeWordFeatures,
                Model,
            )
        except ImportError as error:
            raise ConfigError(
                "the wake word needs the package pymicro-wakeword",
                "pip install 'voicebot[wake]', or set chat.wake_word = \"off\"",
            ) from error
        if name not in {model.value for model in Model}:
            raise ConfigError(
                f"pymicro-wakeword has no model {name}", 'set chat.wake_word = "off", or another'
            )
        self._model = MicroWakeWord.from_builtin(Model(name))
        self._features = MicroWakeWordFeatures()

    def hears(self, samples: Samples) -> bool:
        """Whether the word ends in ``samples``."""
        pcm = np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()
        found = False
        for features in self._features.process_streaming(pcm):
            found = bool(self._model.process_streaming(features)) or found
        return found


class WakeRule:
    """Awake from the word on, while the conversation goes on, and a while after.

    Args:
        spotter: hears the word.
        listen_s: how long it stays awake when nothing happens.
        is_idle: whether neither side has anything under way.
    """

    def __init__(
        self, spotter: WordSpotter, *, listen_s: float, is_idle: Callable[[], bool]
    ) -> None:
        self._spotter = spotter
        self._listen_s = listen_s
        self._is_idle = is_idle
        self._awake_until_s = float("-inf")
        self.is_awake = False

    def __call__(self, block: AudioBlock) -> bool:
        """Take the next block; whether the user is to be listened to."""
        if self._spotter.hears(block.samples) or (self.is_awake and not self._is_idle()):
            self._awake_until_s = block.end_s + self._listen_s
        self.is_awake = block.end_s < self._awake_until_s
        return self.is_awake
