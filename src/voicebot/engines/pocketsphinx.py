"""Speech recognition by PocketSphinx with its own en-us model: truly streaming, on any machine.

PocketSphinx (Carnegie Mellon University, https://github.com/cmusphinx/pocketsphinx, BSD-2) holds
the interpreter's lock while it decodes, so it has a process of its own: ``pocketsphinx_child.py``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines import pocketsphinx_child as child
from voicebot.engines.engine_process import EngineProcess
from voicebot.engines.protocols import Transcript
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from types import TracebackType

    from voicebot.audio.samples import Samples

__all__ = ["PocketSphinxAsr"]

_NAME = "the speech recogniser"
_FULL_SCALE = 32_767
_MAX_BEHIND_S = 30
_MAX_UNSENT_BYTES = _MAX_BEHIND_S * INPUT_SAMPLE_RATE_HZ * 2

_log = logging.getLogger(__name__)


class PocketSphinxAsr:
    """Recognises one turn at a time. An ``Asr``.

    If the decoder's process ends or hangs, the call that meets it raises, and the next ``start``
    brings up a fresh one.

    Args:
        load_timeout_s: how long the decoder may take to load.
        finish_timeout_s: how long a final transcript may take.

    Raises:
        EngineError: the decoder cannot be loaded.
        EngineStuckError: it takes too long.
    """

    def __init__(self, load_timeout_s: float = 60.0, finish_timeout_s: float = 5.0) -> None:
        self._load_timeout_s = load_timeout_s
        self._finish_timeout_s = finish_timeout_s
        self._turn_number = 0
        self._newest = ""
        self._in_turn = False
        self._process: EngineProcess | None = None
        self._load()

    @property
    def process_id(self) -> int | None:
        """The decoder's process, by which its processor time and memory can be accounted."""
        return self._process.process_id if self._process else None

    def start(self) -> None:
        """Begin a new turn; whatever was fed before is forgotten.

        Raises:
            EngineError: the decoder has ended, and a fresh one cannot be loaded.
        """
        if self._process is None or not self._process.alive:
            _log.warning("%s is loaded anew: its process has ended", _NAME)
            self._drop_process()
            self._load()
        self._turn_number += 1
        self._newest = ""
        self._in_turn = True
        self._send(child.START, child.TURN_NUMBER.pack(self._turn_number))

    def feed(self, samples: Samples) -> Transcript | None:
        """Hand the next audio to the decoder, without waiting for it.

        Args:
            samples: shape (n,), float32, 16 kHz. NaN and infinities count as silence.

        Returns:
            The newest partial transcript that has arrived, if it differs from the last one given.

        Raises:
            EngineError: no turn was started, the samples have another shape, or the decoder ended.
            EngineStuckError: the decoder is 30 s of audio behind.
        """
        if samples.ndim != 1:
            raise EngineError(f"{_NAME} takes samples of shape (n,), not {samples.shape}")
        self._send(child.AUDIO, _pcm16(samples))
        newest = self._newest
        while (message := self._poll()) is not None:
            newest = self._text_of(message, newest)
        if newest == self._newest:
            return None
        self._newest = newest
        return Transcript(newest, final=False)

    def finish(self) -> Transcript:
        """The final transcript of all that was fed since ``start``; ``feed`` may follow.

        Raises:
            EngineError: no turn was started, or the decoder ended.
            EngineStuckError: it gave no answer in its time.
        """
        self._send(child.FINISH)
        kind = b""
        confidence: float | None = None
        while kind != child.FINAL:
            message = self._wait(self._finish_timeout_s)
            kind = message[0]
            if kind == child.SURENESS:
                packed = self._of_this_turn(message[1])
                if packed is not None:
                    (confidence,) = child.CONFIDENCE.unpack(packed)
            else:
                self._newest = self._text_of(message, self._newest)
        return Transcript(self._newest, final=True, confidence=confidence)

    def close(self) -> None:
        """End the decoder's process."""
        self._drop_process()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self) -> None:
        self._process = EngineProcess(Path(child.__file__), _NAME, _MAX_UNSENT_BYTES)
        self._text_of(self._wait(self._load_timeout_s), "")

    def _text_of(self, message: tuple[bytes, bytes], otherwise: str) -> str:
        """The transcript that a message holds; ``otherwise`` if it is of an earlier turn."""
        kind, payload = message
        if kind == child.FAILED:
            self._drop_process()
            raise EngineError(f"{_NAME} failed ({payload.decode()})")
        if kind == child.READY:
            return otherwise
        text = self._of_this_turn(payload)
        return otherwise if text is None else text.decode()

    def _of_this_turn(self, payload: bytes) -> bytes | None:
        """What stands behind a payload's turn number; None if it is of an earlier turn."""
        (number,) = child.TURN_NUMBER.unpack_from(payload)
        return payload[child.TURN_NUMBER.size :] if number == self._turn_number else None

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        process = self._running()
        try:
            process.send(kind, payload)
        except EngineError:
            self._drop_process()
            raise

    def _poll(self) -> tuple[bytes, bytes] | None:
        process = self._running()
        try:
            return process.poll()
        except EngineError:
            self._drop_process()
            raise

    def _wait(self, timeout_s: float) -> tuple[bytes, bytes]:
        process = self._running(need_turn=False)
        try:
            return process.wait(timeout_s)
        except EngineError:
            self._drop_process()
            raise

    def _running(self, *, need_turn: bool = True) -> EngineProcess:
        if self._process is None or (need_turn and not self._in_turn):
            raise EngineError(f"{_NAME} has no turn to work on", "start one first")
        return self._process

    def _drop_process(self) -> None:
        self._in_turn = False
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.close()


def _pcm16(samples: Samples) -> bytes:
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return (np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype(np.int16).tobytes()
