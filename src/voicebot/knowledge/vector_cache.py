"""Vectors on the disk, by the content that they stand for, so that a restart computes none."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.engines.embeddings import TextEncoder, Vectors

__all__ = ["VectorCache", "content_key"]

_TEXTS_AT_ONCE = 16

_log = logging.getLogger("voicebot.knowledge")


def content_key(text: str) -> bytes:
    """16 bytes that stand for ``text``."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


class VectorCache:
    """One file: keys, shape (n, 16) bytes, and vectors, shape (n, width) float32.

    A file that is damaged or of another encoder counts as empty: everything in it can be computed
    again.

    Args:
        path: the file; its folder is made when needed. None keeps nothing.
        encoder: whose vectors they are.
    """

    def __init__(self, path: Path | None, encoder: TextEncoder) -> None:
        self._path = path
        self._encoder = encoder

    def load(self) -> dict[bytes, Vectors]:
        """Every vector in the file, shape (width,), by its content's key."""
        if self._path is None or not self._path.is_file():
            return {}
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                keys, vectors, name = stored["keys"], stored["vectors"], str(stored["encoder"])
            fits = (
                name == self._encoder.name
                and keys.dtype == np.uint8
                and vectors.dtype == np.float32
                and vectors.shape == (len(keys), self._encoder.width)
                and bool(np.isfinite(vectors).all())
            )
            rows = zip(keys, vectors, strict=True) if fits else ()
            return {key.tobytes(): row for key, row in rows}
        except Exception as error:  # noqa: BLE001 - whatever numpy and zipfile find wrong in a file
            _log.warning("%s cannot be read (%s); it is made anew", self._path, error)
            return {}

    def vectors(
        self, texts: Sequence[str], pause: Callable[[], None] = lambda: None
    ) -> tuple[Vectors, int]:
        """The vectors of ``texts``, from the file as far as it has them; then it holds these alone.

        Args:
            texts: what is to be compared.
            pause: called before each piece of work; may wait for a better moment.

        Returns:
            The vectors, in the texts' order, and how many had to be computed.

        Raises:
            EngineError: the encoder failed.
        """
        keys = [content_key(text) for text in texts]
        known = self.load()
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        wanted = list(missing.items())
        for start in range(0, len(wanted), _TEXTS_AT_ONCE):
            pause()
            some = wanted[start : start + _TEXTS_AT_ONCE]
            rows = self._encoder.encode([text for _, text in some])
            known.update((key, row) for (key, _), row in zip(some, rows, strict=True))
        vectors = np.zeros((len(keys), self._encoder.width), np.float32)
        for at, key in enumerate(keys):
            vectors[at] = known[key]
        if missing:
            self.save(keys, vectors)
        return vectors, len(missing)

    def save(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Replace the file, whole or not at all; failing to is no more than a slower restart."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=self._path.parent, suffix=".npz")
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(
                        file,
                        encoder=np.array(self._encoder.name),
                        keys=np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1),
                        vectors=vectors,
                    )
                Path(scratch).replace(self._path)
            except BaseException:
                Path(scratch).unlink(missing_ok=True)
                raise
        except OSError as error:
            _log.warning("vectors cannot be kept in %s: %s", self._path, error.strerror or error)
