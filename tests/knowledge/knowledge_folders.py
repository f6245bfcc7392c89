"""Knowledge for tests: small folders, an encoder that needs no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicebot.engines.embeddings import SpellingEncoder
from voicebot.knowledge.folder import KnowledgeFolder
from voicebot.knowledge.knowledge import Knowledge
from voicebot.knowledge.matching import MatchRules
from voicebot.knowledge.vector_cache import VectorCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voicebot.engines.embeddings import Vectors

RULES = MatchRules(sure_question=0.8, sure_passage=0.8, margin=0.1, loose=0.3)


class CountingEncoder(SpellingEncoder):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.read += texts
        return super().encode(texts)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return folder


def knowledge_of(folder: Path, cache: Path | None = None, **options: Any) -> Knowledge:
    encoder = options.pop("encoder", None) or SpellingEncoder()
    made = Knowledge(
        KnowledgeFolder(folder),
        encoder,
        rules=options.pop("rules", RULES),
        cache=VectorCache(cache, encoder),
        **options,
    )
    made.refresh()
    return made
