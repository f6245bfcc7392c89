"""What the best passages are worth: a sure answer, ground for the model's answer, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.knowledge.index import FoundPassage
    from voicebot.knowledge.passages import Passage

__all__ = ["SENTENCE_RULES", "SPELLING_RULES", "Finding", "MatchRules", "Sureness", "judge"]


class Sureness(Enum):
    """What is to be done with what was found."""

    SURE = "sure"  # it is the answer, word for word
    LOOSE = "loose"  # the language model answers with it before its eyes
    NONE = "none"  # nothing fits


@dataclass(frozen=True, slots=True)
class MatchRules:
    """When a match is what.

    Attributes:
        sure_question: from this likeness to its question on, a pair's answer is sure.
        sure_passage: from this likeness on, a short passage of prose is sure.
        margin: a sure match is better by this than the best one that says something else.
        loose: from this likeness on, a passage may be of use.
        longest_spoken_characters: longer passages are never spoken as they are.
    """

    sure_question: float
    sure_passage: float
    margin: float
    loose: float
    longest_spoken_characters: int = 220


SENTENCE_RULES = MatchRules(sure_question=0.74, sure_passage=0.52, margin=0.20, loose=0.37)
"""For all-MiniLM-L6-v2; docs/knowledge.md says how they were found."""

SPELLING_RULES = MatchRules(sure_question=0.80, sure_passage=2.0, margin=0.15, loose=0.35)
"""For the comparison by spelling, which must not speak a passage because it shares words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a search.

    Attributes:
        sureness: what the matches are worth.
        matches: the best first; with ``NONE`` those that were not good enough.
    """

    sureness: Sureness
    matches: tuple[FoundPassage, ...]


def judge(matches: Sequence[FoundPassage], rules: MatchRules) -> Finding:
    """What ``matches`` (the best first) are worth under ``rules``."""
    found = tuple(matches)
    if not found or found[0].score < rules.loose:
        return Finding(Sureness.NONE, found)
    best = found[0]
    # Several questions may have the same answer.
    others = (one.score for one in found[1:] if one.passage.text != best.passage.text)
    margin = best.score - max(others, default=-1.0)
    is_sure = _is_sure(best.passage, best.score, rules) and margin >= rules.margin
    return Finding(Sureness.SURE if is_sure else Sureness.LOOSE, found)


def _is_sure(passage: Passage, score: float, rules: MatchRules) -> bool:
    match passage.kind:
        case "answer":
            return score >= rules.sure_question
        case "prose":
            is_short = len(passage.text) <= rules.longest_spoken_characters
            return is_short and score >= rules.sure_passage
        case "code":
            return False
