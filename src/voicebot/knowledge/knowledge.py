"""What the bot knows: a folder's passages, found by likeness to a question."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.knowledge.index import PassageIndex
from voicebot.knowledge.matching import Finding, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from voicebot.engines.embeddings import TextEncoder
    from voicebot.knowledge.folder import FolderContents, KnowledgeFolder
    from voicebot.knowledge.matching import MatchRules
    from voicebot.knowledge.vector_cache import VectorCache

__all__ = ["Knowledge", "Refreshed"]

_SEARCHED = 8
"""Passages looked at a query: enough for those that say the same to stand aside."""

_QUERIES_KEPT = 16

_log = logging.getLogger("voicebot.knowledge")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What reading the folder anew came to.

    Attributes:
        files: files read.
        passages: passages now known.
        computed: vectors that had to be computed; the others were kept from before.
        problems: a line for each thing that was left out.
    """

    files: int
    passages: int
    computed: int
    problems: tuple[str, ...]


class Knowledge:
    """Passages to be found. ``find`` and ``refresh`` may be called from different threads.

    Empty until the first ``refresh``.

    Args:
        folder: where the passages stand.
        encoder: makes vectors; must be safe to call from two threads.
        rules: when a match is sure.
        cache: keeps vectors from one run to the next.
        clock: gives seconds.
    """

    def __init__(
        self,
        folder: KnowledgeFolder,
        encoder: TextEncoder,
        *,
        rules: MatchRules,
        cache: VectorCache,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._encoder = encoder
        self._rules = rules
        self._cache = cache
        self._clock = clock
        # Replaced as a whole, so that a search sees either the old or the new one.
        self._index = PassageIndex([], np.zeros((0, encoder.width), np.float32))
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._asked_s = float("-inf")
        self._refreshing = threading.Lock()

    @property
    def index(self) -> PassageIndex:
        """The passages as they stand."""
        return self._index

    @property
    def idle_s(self) -> float:
        """How long ago the last query was."""
        return self._clock() - self._asked_s

    def find(self, query: str) -> Finding:
        """The passages that are likest to ``query``, and what they are worth."""
        self._asked_s = self._clock()
        if not len(self._index) or not query.strip():
            return judge([], self._rules)
        return judge(self._index.search(self._vector(query), _SEARCHED), self._rules)

    def refresh(self, pause: Callable[[], None] = lambda: None) -> Refreshed | None:
        """Read the folder; None if nothing has changed.

        Args:
            pause: called between pieces of work; may wait for a better moment.

        Raises:
            KnowledgeError: the folder is not there or cannot be read.
            EngineError: the encoder failed.
        """
        with self._refreshing:
            contents = self._folder.read_if_changed()
            if contents is None:
                return None
            try:
                return self._take_in(contents, pause)
            except BaseException:
                self._folder.forget()  # It is read again, not taken for unchanged.
                raise

    def _take_in(self, contents: FolderContents, pause: Callable[[], None]) -> Refreshed:
        for problem in contents.problems:
            _log.warning("knowledge: %s", problem)
        if not contents.passages:
            _log.warning("knowledge: the folder holds nothing that can be used")
        texts = [text for passage in contents.passages for text in passage.searched_texts]
        vectors, computed = self._cache.vectors(texts, pause)
        self._index = PassageIndex(contents.passages, vectors)
        return Refreshed(contents.files, len(contents.passages), computed, contents.problems)

    def _vector(self, query: str) -> NDArray[np.float32]:
        # The draft asks what was asked while the user still spoke.
        kept = self._queries.pop(query, None)
        vector = self._encoder.encode([query])[0] if kept is None else kept
        self._queries[query] = vector
        while len(self._queries) > _QUERIES_KEPT:
            del self._queries[next(iter(self._queries))]
        return vector
