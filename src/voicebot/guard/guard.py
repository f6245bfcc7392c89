"""The guard: what of a user's words and of a bot's clauses may pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Stopped
from voicebot.guard.examples import Example, Speaker, builtin_examples
from voicebot.guard.nearest import NearestExamples, NearestRules
from voicebot.guard.word_list import WordList
from voicebot.guard.wording import find_wording
from voicebot.knowledge.hygiene import is_order
from voicebot.knowledge.vector_cache import VectorCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.engines.embeddings import TextEncoder
    from voicebot.guard.examples import OwnTopic

__all__ = ["BOT_RULES", "OWN_WORDS", "USER_RULES", "Guard", "Intervention"]

OWN_WORDS = "words"
"""The topic under which the operator's words are counted."""

USER_RULES = NearestRules(likeness=0.35, lead=-0.4)
BOT_RULES = NearestRules(likeness=0.25, lead=-0.5)
"""docs/guard.md says how they were chosen."""

_SPELLING_RULES = NearestRules(likeness=0.6, lead=0.0)
"""For topics of the operator's that are compared by spelling; nothing was there to measure it."""

_SPEAKERS: tuple[Speaker, ...] = ("user", "bot")
_ON_BOTH_SIDES = ("self-harm", "injection")
_URGENT = ("self-harm", "emergency")


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something that was not let pass.

    Attributes:
        stopped: whose words, and why.
        say: what is said in their place.
    """

    stopped: Stopped
    say: str


class Guard:
    """Checks sentences. Its rules are code: no text can change them.

    Word lists come first, then the nearest examples. One is enough.

    Args:
        language: of the conversation.
        words: the operator's list.
        topics: the operator's topics.
        encoder: compares sentences; None leaves word lists alone.
        knows_examples: whether the encoder understands the examples that come with the program,
            which are English.
        say: texts that replace the language's, by topic.
        cache: keeps the examples' vectors from one run to the next.
    """

    def __init__(
        self,
        language: str,
        *,
        words: WordList | None = None,
        topics: Sequence[OwnTopic] = (),
        encoder: TextEncoder | None = None,
        knows_examples: bool = False,
        say: Mapping[str, str] | None = None,
        cache: VectorCache | None = None,
    ) -> None:
        wording = find_wording(language)
        self._say = {**wording.say, **{one.name: one.say for one in topics if one.say}}
        self._say.update(say or {})
        self._refusal = wording.refusal
        self._own_words = words or WordList(())
        self._phrases = {topic: WordList(list_) for topic, list_ in wording.phrases.items()}
        self._encoder = encoder
        self._rules: dict[Speaker, NearestRules] = {"user": USER_RULES, "bot": BOT_RULES}
        if not knows_examples:
            self._rules = {"user": _SPELLING_RULES, "bot": _SPELLING_RULES}
        self._nearest: Mapping[Speaker, NearestExamples] = {}
        if encoder is not None:
            examples = _examples(topics, knows_examples=knows_examples)
            self._nearest = _nearest(examples, cache or VectorCache(None, encoder))

    def check_user(self, text: str) -> Intervention | None:
        """What is to be said instead of an answer to ``text``; None if it may be answered.

        Raises:
            EngineError: the encoder failed.
        """
        return self._intervention("user", self._topic_of("user", text, tuple(self._phrases)))

    def check_bot(self, clause: str) -> Intervention | None:
        """What is to be said instead of ``clause`` and all behind it; None if it may be said.

        Raises:
            EngineError: the encoder failed.
        """
        return self._intervention("bot", self._topic_of("bot", clause, _ON_BOTH_SIDES))

    def _topic_of(self, speaker: Speaker, text: str, listed: Sequence[str]) -> str | None:
        # A person in need is helped even if their words are on the operator's list.
        for topic in (*_URGENT, *(one for one in listed if one not in _URGENT)):
            if topic in listed and topic in self._phrases and self._phrases[topic].find(text):
                return topic
        if self._own_words.find(text) is not None:
            return OWN_WORDS
        if speaker == "user" and is_order(text):
            return "injection"
        if self._encoder is None or not any(map(str.isalpha, text)):
            return None
        vector = self._encoder.encode([text])[0]
        return self._nearest[speaker].classify(vector, self._rules[speaker])

    def _intervention(self, speaker: Speaker, topic: str | None) -> Intervention | None:
        if topic is None:
            return None
        return Intervention(Stopped(speaker, topic), self._say.get(topic, self._refusal))


def _examples(topics: Sequence[OwnTopic], *, knows_examples: bool) -> list[Example]:
    """All examples; an own topic's count for both speakers."""
    own = [
        Example(speaker, topic.name, sentence)
        for speaker in _SPEAKERS
        for topic in topics
        for sentence in topic.examples
    ]
    return [*(builtin_examples() if knows_examples else ()), *own]


def _nearest(examples: Sequence[Example], cache: VectorCache) -> dict[Speaker, NearestExamples]:
    vectors, _ = cache.vectors([one.sentence for one in examples])
    nearest = {}
    for speaker in _SPEAKERS:
        rows = [at for at, one in enumerate(examples) if one.speaker == speaker]
        nearest[speaker] = NearestExamples([examples[at].topic for at in rows], vectors[rows])
    return nearest
