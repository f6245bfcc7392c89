"""How well passages are found, measured on questions whose passages are known."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from voicebot.bench.statistics import bootstrap_intervals
from voicebot.errors import KnowledgeError
from voicebot.knowledge.bm25 import Bm25
from voicebot.knowledge.index import PassageIndex
from voicebot.knowledge.matching import Sureness, judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voicebot.bench.statistics import Interval
    from voicebot.engines.embeddings import TextEncoder
    from voicebot.knowledge.index import FoundPassage
    from voicebot.knowledge.matching import MatchRules
    from voicebot.knowledge.passages import Passage

__all__ = [
    "Decisions",
    "LabelledQuestion",
    "Recall",
    "SearchedQuestion",
    "calibrated",
    "count_decisions",
    "cross_validated",
    "label_questions",
    "read_questions",
    "recall",
    "search_all",
    "search_all_by_words",
]

_HEADER = ["question", "file", "phrase"]
_SEARCHED = 8
_LOOSE_STEPS = tuple(round(step * 0.01, 2) for step in range(15, 60))
_SURE_STEP = 0.02
_SURE_STEPS = tuple(round(step * _SURE_STEP, 2) for step in range(25, 48))
_NEVER = 2.0
"""No likeness is greater than 1."""

_MARGINS = (0.0, 0.02, 0.05, 0.08, 0.10, 0.15, 0.20)


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and where its answer stands.

    Attributes:
        text: as it would be said.
        passage: the index of its passage; None if nothing in the folder answers it.
    """

    text: str
    passage: int | None


@dataclass(frozen=True, slots=True)
class SearchedQuestion:
    """A question, what was found for it, and whether each found passage answers it."""

    question: LabelledQuestion
    found: tuple[FoundPassage, ...]
    answers: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of questions whose passage is among the first; 95 % bootstrap intervals."""

    at_1: float
    at_1_ci95: Interval | None
    at_5: float
    at_5_ci95: Interval | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """What became of labelled questions.

    Attributes:
        answerable: questions that the folder answers.
        sure_right: of these, spoken word for word from the right passage.
        sure_wrong: of these, spoken from a wrong one.
        grounded_right: of these, the right passage is among those the model is shown.
        missed: of these, nothing was found.
        unanswerable: questions that the folder does not answer.
        sure_unanswerable: of these, a passage was spoken all the same.
        declined: of these, rightly nothing was found.
    """

    answerable: int
    sure_right: int
    sure_wrong: int
    grounded_right: int
    missed: int
    unanswerable: int
    sure_unanswerable: int
    declined: int


def read_questions(path: Path) -> list[tuple[str, str, str]]:
    """Rows ``question,file,phrase`` of a CSV file, below this header.

    Raises:
        KnowledgeError: the file cannot be read, or is not of this form.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if any(row)]
    except (OSError, UnicodeError, csv.Error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise KnowledgeError(f"{path} cannot be read: {why}") from error
    if not rows or rows[0] != _HEADER or any(len(row) != len(_HEADER) for row in rows):
        raise KnowledgeError(
            f"{path} is not of the form {','.join(_HEADER)}", "docs/knowledge.md shows one"
        )
    return [(row[0], row[1], row[2]) for row in rows[1:]]


def label_questions(
    rows: Sequence[tuple[str, str, str]], passages: Sequence[Passage]
) -> list[LabelledQuestion]:
    """Find the passage of each question: the one of its file that holds its phrase.

    Raises:
        KnowledgeError: none or several do.
    """
    labelled = []
    for text, file, phrase in rows:
        if not file:
            labelled.append(LabelledQuestion(text, None))
            continue
        places = [
            index
            for index, passage in enumerate(passages)
            if passage.source == file and phrase in passage.text
        ]
        if len(places) != 1:
            raise KnowledgeError(
                f"{len(places)} passages of {file} hold {phrase!r}, which answers {text!r}",
                "name a phrase that stands in one passage",
            )
        labelled.append(LabelledQuestion(text, places[0]))
    return labelled


def search_all(
    questions: Sequence[LabelledQuestion], passages: Sequence[Passage], encoder: TextEncoder
) -> list[SearchedQuestion]:
    """Search for every question by the likeness of vectors."""
    texts = [text for one in passages for text in one.searched_texts]
    index = PassageIndex(passages, encoder.encode(texts))
    queries = encoder.encode([question.text for question in questions])
    searched = []
    for question, query in zip(questions, queries, strict=True):
        found = index.search(query, _SEARCHED)
        wanted = None if question.passage is None else passages[question.passage]
        # Passages that say the same answer the same.
        answers = [wanted is not None and one.passage.text == wanted.text for one in found]
        searched.append(SearchedQuestion(question, tuple(found), tuple(answers)))
    return searched


def search_all_by_words(
    questions: Sequence[LabelledQuestion], passages: Sequence[Passage]
) -> list[list[bool]]:
    """Search for every answerable question with BM25: whether each found passage answers it.

    It sees all there is of a passage: every heading, the question and the text.
    """
    words = Bm25([" ".join((*one.headings, one.question, one.text)) for one in passages])
    answers = []
    for question in questions:
        if question.passage is not None:
            wanted = passages[question.passage].text
            best = words.search(question.text, _SEARCHED)
            answers.append([passages[index].text == wanted for index in best])
    return answers


def recall(answers: Sequence[Sequence[bool]]) -> Recall:
    """Recall of rankings: for each question whether each found passage, best first, answers it."""
    at_1 = [float(any(row[:1])) for row in answers]
    at_5 = [float(any(row[:5])) for row in answers]
    return Recall(
        sum(at_1) / len(at_1),
        bootstrap_intervals(at_1).mean,
        sum(at_5) / len(at_5),
        bootstrap_intervals(at_5).mean,
    )


def count_decisions(
    searched: Sequence[SearchedQuestion], rules: MatchRules, shown: int
) -> Decisions:
    """What becomes of the questions under ``rules``, if ``shown`` passages ground an answer."""
    counts = dict.fromkeys(Decisions.__dataclass_fields__, 0)
    for one in searched:
        sureness = judge(one.found, rules).sureness
        if one.question.passage is None:
            counts["unanswerable"] += 1
            counts["sure_unanswerable"] += sureness is Sureness.SURE
            counts["declined"] += sureness is Sureness.NONE
            continue
        counts["answerable"] += 1
        if sureness is Sureness.SURE:
            counts["sure_right" if one.answers[0] else "sure_wrong"] += 1
        elif sureness is Sureness.LOOSE:
            counts["grounded_right"] += any(one.answers[:shown])
        else:
            counts["missed"] += 1
    return Decisions(**counts)


def calibrated(
    searched: Sequence[SearchedQuestion],
    rules: MatchRules,
    *,
    wrong_share: float = 0.02,
    missed_share: float = 0.1,
) -> MatchRules:
    """``rules`` with the thresholds that speak the most right answers at once.

    Of all thresholds and margins of a grid under which at most ``wrong_share`` of what is spoken
    at once is wrong, those that speak the most right answers, of equals the strictest; and then
    one step stricter, since thresholds are set by the few questions that lie next to them. The
    loose threshold is the highest under which at most ``missed_share`` of the questions that have
    an answer find nothing.
    """
    best, best_key = rules, (-1, 0.0, 0.0)
    for margin in _MARGINS:
        questions = replace(rules, margin=margin, sure_passage=_NEVER, loose=0.0)
        passages = replace(rules, margin=margin, sure_question=_NEVER, loose=0.0)
        question_step, question_right = _loosest(searched, questions, "sure_question", wrong_share)
        passage_step, passage_right = _loosest(searched, passages, "sure_passage", wrong_share)
        key = (question_right + passage_right, question_step + passage_step, margin)
        if key > best_key:
            best_key = key
            best = replace(
                rules,
                margin=margin,
                sure_question=round(question_step + _SURE_STEP, 2),
                sure_passage=round(passage_step + _SURE_STEP, 2),
            )
    return replace(best, loose=_loose_step(searched, missed_share))


def cross_validated(
    searched: Sequence[SearchedQuestion],
    rules: MatchRules,
    *,
    shown: int,
    folds: int = 10,
    seed: int = 0,
) -> Decisions:
    """Decisions on questions that had no part in the choice of the thresholds that made them."""
    order = np.random.default_rng(seed).permutation(len(searched))
    totals = dict.fromkeys(Decisions.__dataclass_fields__, 0)
    for fold in range(folds):
        left_out = set(order[fold::folds].tolist())
        rest = [one for index, one in enumerate(searched) if index not in left_out]
        chosen = calibrated(rest, rules)
        counted = count_decisions([searched[index] for index in sorted(left_out)], chosen, shown)
        for name in totals:
            totals[name] += getattr(counted, name)
    return Decisions(**totals)


def _loosest(
    searched: Sequence[SearchedQuestion],
    rules: MatchRules,
    name: Literal["sure_question", "sure_passage"],
    wrong_share: float,
) -> tuple[float, int]:
    """The lowest step of threshold ``name`` that errs little enough, and what it gets right."""
    best, right = _NEVER, 0
    for step in reversed(_SURE_STEPS):
        chosen = (
            replace(rules, sure_question=step)
            if name == "sure_question"
            else replace(rules, sure_passage=step)
        )
        counted = count_decisions(searched, chosen, 1)
        wrong = counted.sure_wrong + counted.sure_unanswerable
        spoken = counted.sure_right + wrong
        if spoken and wrong > wrong_share * spoken:
            break
        if counted.sure_right > right:
            best, right = step, counted.sure_right
    return best, right


def _loose_step(searched: Sequence[SearchedQuestion], missed_share: float) -> float:
    best = [
        one.found[0].score if one.found else -1.0
        for one in searched
        if one.question.passage is not None
    ]
    fitting = (
        step
        for step in reversed(_LOOSE_STEPS)
        if sum(score < step for score in best) <= missed_share * len(best)
    )
    return next(fitting, _LOOSE_STEPS[0])
