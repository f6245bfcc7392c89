"""Sentences as vectors, so that likeness of meaning is a scalar product.

``SentenceEncoder`` runs a contrastively trained BERT (all-MiniLM-L6-v2: Reimers and Gurevych,
"Sentence-BERT", 2019, and the model's card) and knows English. ``SpellingEncoder`` needs no model
and knows no language: texts are alike for it as far as they are spelled alike.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.models.bert_onnx import bert_onnx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

__all__ = ["SentenceEncoder", "SpellingEncoder", "TextEncoder", "Vectors"]

Vectors: TypeAlias = NDArray[np.float32]
"""Shape (texts, width), float32; each row of length 1, or all zeros for a text without letters."""

_MAX_TOKENS = 256
"""The model card: longer texts are cut."""

_TEXTS_AT_ONCE = 16
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_PART, _LONGEST_PART = 3, 5


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """Which encoder made a vector; vectors of another one cannot be compared with it."""
        ...

    @property
    def width(self) -> int:
        """Numbers a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of ``texts``, in their order."""
        ...


class SentenceEncoder:
    """A sentence encoder in onnxruntime, on the processor. May be called from several threads.

    Args:
        session: an ``onnxruntime.InferenceSession`` on the graph of ``models.bert_onnx``.
        tokenizer: the model's.
        name: see :class:`TextEncoder`.
        width: see :class:`TextEncoder`.
    """

    def __init__(self, session: Any, tokenizer: Tokenizer, *, name: str, width: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._name = name
        self._width = width

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> SentenceEncoder:
        """Load config.json, model.safetensors, tokenizer.json and 1_Pooling from ``folder``.

        Raises:
            ModelMissingError: a file is not there.
            ModelDamagedError: a file cannot be read, or is no BERT encoder.
        """
        import onnxruntime  # noqa: PLC0415 - heavy, so loaded when needed
        from tokenizers import Tokenizer  # noqa: PLC0415 - heavy, so loaded when needed

        for file in ("model.safetensors", "tokenizer.json"):
            if not (folder / file).is_file():
                raise ModelMissingError(
                    f"the encoder's {file} is missing in {folder}", "fetch all-minilm-l6-v2"
                )
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise ModelDamagedError(
                f"cannot read {folder / 'tokenizer.json'}: {error}", "fetch the model again"
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads that spin would take a core from the stages that run beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # Its warnings are about how graphs are written.
        graph = bert_onnx(folder)
        try:
            session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            encoder = cls(session, tokenizer, name=folder.name, width=0)
            width = len(encoder.encode(["hello"])[0])  # The first pass is the slowest.
        # onnxruntime's own errors have no common class.
        except Exception as error:
            raise ModelDamagedError(
                f"cannot load the encoder in {folder}: {error}", "fetch the model again"
            ) from error
        return cls(session, tokenizer, name=folder.name, width=width)

    @property
    def name(self) -> str:
        """The model's folder's name."""
        return self._name

    @property
    def width(self) -> int:
        """384 for all-MiniLM-L6-v2."""
        return self._width

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See :class:`TextEncoder`; texts of like length share a pass.

        Raises:
            EngineError: onnxruntime failed.
        """
        read = [one.ids for one in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(read)), key=lambda index: len(read[index]))
        vectors = np.zeros((len(read), self._width), np.float32)
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            some = order[start : start + _TEXTS_AT_ONCE]
            longest = len(read[some[-1]])
            ids = np.zeros((len(some), longest), np.int64)
            mask = np.zeros((len(some), longest), np.int32)
            for row, index in enumerate(some):
                ids[row, : len(read[index])] = read[index]
                mask[row, : len(read[index])] = 1
            try:
                encoded = self._session.run(None, {"token_ids": ids, "mask": mask})[0]
            # onnxruntime's own errors have no common class.
            except Exception as error:
                raise EngineError(f"the sentence encoder failed: {error}") from error
            if not self._width:
                return np.asarray(encoded, np.float32)
            vectors[some] = encoded
        return vectors


class SpellingEncoder:
    """Counts of the parts of words (3 to 5 characters, word ends marked), hashed into a vector.

    It forgives endings and small slips, and knows no synonyms: a stand-in for languages that no
    encoder here has learnt.
    """

    @property
    def name(self) -> str:
        """It changes if what is counted does."""
        return "spelling-1"

    @property
    def width(self) -> int:
        """Parts that share a place are few up to some thousand different words."""
        return 2048

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See :class:`TextEncoder`."""
        vectors = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            for part in _parts(text):
                vectors[row, zlib.crc32(part.encode()) % self.width] += 1.0
        np.sqrt(vectors, out=vectors)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, 1.0)
        return vectors


def _parts(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    parts = []
    for word in _WORD.findall(plain):
        marked = f"<{word}>"
        parts.append(marked)
        for size in range(_SHORTEST_PART, min(_LONGEST_PART, len(marked) - 1) + 1):
            parts += [marked[at : at + size] for at in range(len(marked) - size + 1)]
    return parts
