"""Building what stands around the language model: what it knows, and what it may not say."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from voicebot.choice import chosen_encoder, guard_is_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.config import Settings
    from voicebot.engines.embeddings import TextEncoder
    from voicebot.engines.protocols import Llm
    from voicebot.guard.guard import Guard
    from voicebot.knowledge.knowledge import Knowledge
    from voicebot.knowledge.matching import MatchRules
    from voicebot.knowledge.vector_cache import VectorCache
    from voicebot.models.store import ModelStore

__all__ = [
    "build_guard",
    "build_knowledge",
    "match_rules",
    "text_encoder",
    "with_knowledge_and_guard",
]


def with_knowledge_and_guard(
    build_llm: Callable[[], Llm], settings: Settings, store: ModelStore
) -> Callable[[], Llm]:
    """``build_llm``, its model wrapped in what the settings ask for.

    The guard stands outermost: it sees every word that would be spoken, wherever it came from.

    Raises:
        ModelMissingError: the encoder is not in the store.
    """
    has_guard, has_knowledge = guard_is_on(settings), settings.knowledge.folder is not None
    if not (has_guard or has_knowledge):
        return build_llm
    if name := chosen_encoder(settings):
        store.path(name)

    def build() -> Llm:
        encoder = text_encoder(settings, store)
        # What can be wrong with the operator's files shows before the model is loaded.
        guard = build_guard(settings, encoder) if has_guard else None
        knowledge = build_knowledge(settings, encoder) if has_knowledge else None
        llm = build_llm()
        if knowledge is not None:
            llm = _knowing(llm, knowledge, settings)
        return llm if guard is None else _guarded(llm, guard, settings)

    return build


def text_encoder(settings: Settings, store: ModelStore) -> TextEncoder:
    """What compares texts in the conversation's language.

    Raises:
        ModelMissingError: the encoder is not in the store.
        ModelDamagedError: it cannot be read.
    """
    from voicebot.engines.embeddings import (  # noqa: PLC0415 (only where it is wanted)
        SentenceEncoder,
        SpellingEncoder,
    )

    name = chosen_encoder(settings)
    return SentenceEncoder.load(store.path(name)) if name else SpellingEncoder()


def build_knowledge(settings: Settings, encoder: TextEncoder) -> Knowledge:
    """What the folder of the settings holds, read and ready.

    Raises:
        KnowledgeError: there is no such folder, or it cannot be read.
    """
    from voicebot.errors import ConfigError  # noqa: PLC0415 (only where it is wanted)
    from voicebot.knowledge.folder import KnowledgeFolder  # noqa: PLC0415
    from voicebot.knowledge.knowledge import Knowledge  # noqa: PLC0415

    chosen = settings.knowledge
    if chosen.folder is None:
        raise ConfigError("knowledge.folder is not set", "set it to a folder of files")
    cache = _vector_cache(settings, encoder, str(chosen.folder.resolve()))
    rules = match_rules(settings)
    knowledge = Knowledge(KnowledgeFolder(chosen.folder), encoder, rules=rules, cache=cache)
    knowledge.refresh()
    return knowledge


def match_rules(settings: Settings) -> MatchRules:
    """When a match is sure: the thresholds that are set, else those calibrated for the encoder."""
    from voicebot.knowledge.matching import (  # noqa: PLC0415 (only where it is wanted)
        SENTENCE_RULES,
        SPELLING_RULES,
    )

    chosen = settings.knowledge
    rules = SENTENCE_RULES if chosen_encoder(settings) else SPELLING_RULES
    return replace(
        rules,
        sure_question=_set_or(chosen.sure_question, rules.sure_question),
        sure_passage=_set_or(chosen.sure_passage, rules.sure_passage),
        margin=_set_or(chosen.margin, rules.margin),
        loose=_set_or(chosen.loose_score, rules.loose),
    )


def build_guard(settings: Settings, encoder: TextEncoder) -> Guard:
    """The guard of the settings.

    Raises:
        KnowledgeError: one of the operator's lists cannot be read.
    """
    from voicebot.guard.examples import read_topics  # noqa: PLC0415 (only where it is wanted)
    from voicebot.guard.guard import Guard  # noqa: PLC0415
    from voicebot.guard.word_list import read_word_list  # noqa: PLC0415

    chosen = settings.guard
    own = {"self-harm": chosen.self_harm_text, "emergency": chosen.emergency_text}
    return Guard(
        settings.language,
        words=read_word_list(chosen.words_file) if chosen.words_file else None,
        topics=read_topics(chosen.topics_file) if chosen.topics_file else (),
        encoder=encoder if chosen.classifier else None,
        knows_examples=bool(chosen_encoder(settings)),
        say={topic: text for topic, text in own.items() if text},
        cache=_vector_cache(settings, encoder, "guard"),
    )


def _vector_cache(settings: Settings, encoder: TextEncoder, what: str) -> VectorCache:
    import platformdirs  # noqa: PLC0415 (only where it is wanted)

    from voicebot.knowledge.vector_cache import VectorCache  # noqa: PLC0415

    folder = settings.knowledge.cache_dir
    if folder is None:
        folder = platformdirs.user_cache_path("voicebot", appauthor=False)
    name = hashlib.sha256(what.encode()).hexdigest()[:16]
    return VectorCache(folder / f"vectors-{name}-{encoder.name}.npz", encoder)


def _set_or(value: float | None, calibrated: float) -> float:
    return calibrated if value is None else value


def _knowing(llm: Llm, knowledge: Knowledge, settings: Settings) -> Llm:
    from voicebot.guard.wording import find_wording  # noqa: PLC0415 (only where it is wanted)
    from voicebot.knowledge.knowing_llm import AnsweringRules, KnowingLlm  # noqa: PLC0415
    from voicebot.knowledge.watcher import KnowledgeWatcher  # noqa: PLC0415

    chosen = settings.knowledge
    rules = AnsweringRules(
        unknown=find_wording(settings.language).unknown if chosen.only else "",
        shown=chosen.passages,
        quotes=chosen.loose == "quote",
    )
    watcher = KnowledgeWatcher(knowledge, every_s=chosen.poll_s)
    return KnowingLlm(llm, knowledge.find, rules, on_close=watcher.close)


def _guarded(llm: Llm, guard: Guard, settings: Settings) -> Llm:
    from voicebot.guard.guarded_llm import ClauseCuts, GuardedLlm  # noqa: PLC0415

    reply = settings.reply
    cuts = ClauseCuts(
        early_first_clause=reply.early_first_clause,
        first_clause_min_words=reply.first_clause_min_words,
        clause_max_characters=reply.clause_max_characters,
        language=settings.language,
        max_tokens=settings.llm.max_tokens,
    )
    return GuardedLlm(llm, guard, cuts)
