"""The measurement of retrieval, and what it says of the labelled questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from knowledge_folders import RULES

from voicebot.engines.embeddings import SentenceEncoder, SpellingEncoder
from voicebot.errors import KnowledgeError
from voicebot.knowledge.bm25 import Bm25
from voicebot.knowledge.evaluation import (
    LabelledQuestion,
    calibrated,
    count_decisions,
    cross_validated,
    label_questions,
    read_questions,
    recall,
    search_all,
    search_all_by_words,
)
from voicebot.knowledge.folder import KnowledgeFolder
from voicebot.knowledge.matching import SENTENCE_RULES
from voicebot.knowledge.passages import Passage
from voicebot.models.store import ModelStore, default_models_dir

HERE = Path(__file__).parent
PASSAGES = [
    Passage("Fourteen crowns.", "faq.csv", 2, "answer", question="What does a ticket cost?"),
    Passage("The river is deep.", "town.txt", 1),
    Passage("The mountain is high.", "town.txt", 3),
]


def museum() -> tuple[tuple[Passage, ...], list[LabelledQuestion]]:
    contents = KnowledgeFolder(HERE / "museum").read_if_changed()
    assert contents is not None
    assert contents.problems == ()
    questions = label_questions(read_questions(HERE / "questions.csv"), contents.passages)
    return contents.passages, questions


def test_bm25_by_hand() -> None:
    words = Bm25(["a b", "b c c", "d"])
    assert words.search("c", 1) == [1]
    assert words.search("b", 3) == [0, 1, 2]  # the shorter one first
    assert words.search("zzz", 2) == [0, 1]
    assert Bm25([]).search("a", 3) == []


def test_recall_counts_the_first_and_the_first_five() -> None:
    measured = recall([[True], [False, True], [False] * 5 + [True], []])
    assert (measured.at_1, measured.at_5) == (0.25, 0.5)
    assert measured.at_1_ci95 is not None
    assert measured.at_1_ci95[0] <= 0.25 <= measured.at_1_ci95[1]


def test_decisions_are_counted() -> None:
    questions = [
        LabelledQuestion("what does a ticket cost", 0),
        LabelledQuestion("what does a ticket cost", 1),
        LabelledQuestion("what does a ticket cost", None),
        LabelledQuestion("is the wide old river anything like deep", 1),
        LabelledQuestion("zzz", 2),
        LabelledQuestion("qqq", None),
    ]
    searched = search_all(questions, PASSAGES, SpellingEncoder())
    counts = count_decisions(searched, RULES, 1)
    assert (counts.answerable, counts.unanswerable) == (4, 2)
    assert (counts.sure_right, counts.sure_wrong, counts.sure_unanswerable) == (1, 1, 1)
    assert (counts.grounded_right, counts.missed, counts.declined) == (1, 1, 1)


def test_labels_must_name_one_passage(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="2 passages"):
        label_questions([("q", "town.txt", "The")], PASSAGES)
    with pytest.raises(KnowledgeError, match="0 passages"):
        label_questions([("q", "town.txt", "nothing")], PASSAGES)
    path = tmp_path / "questions.csv"
    path.write_text("a,b\n")
    with pytest.raises(KnowledgeError, match="form"):
        read_questions(path)
    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_questions(tmp_path / "none.csv")


def test_the_labelled_set_is_large_enough_and_fits_its_folder() -> None:
    passages, questions = museum()
    assert len({question.text for question in questions}) == len(questions)
    assert sum(question.passage is not None for question in questions) >= 200
    assert sum(question.passage is None for question in questions) >= 40
    assert len(passages) >= 120
    assert any(one.kind == "code" for one in passages)


@pytest.mark.models
def test_meaning_finds_more_than_words_and_the_thresholds_are_those_calibrated() -> None:
    store = ModelStore(default_models_dir())
    if not store.is_ready("all-minilm-l6-v2"):
        pytest.skip("all-minilm-l6-v2 is not here: run voicebot models pull")
    passages, questions = museum()
    encoder = SentenceEncoder.load(store.path("all-minilm-l6-v2"))
    searched = search_all(questions, passages, encoder)
    by_meaning = recall([one.answers for one in searched if one.question.passage is not None])
    by_words = recall(search_all_by_words(questions, passages))
    assert by_meaning.at_1 > by_words.at_1 + 0.2
    assert by_meaning.at_5 > by_words.at_5 + 0.2
    assert calibrated(searched, SENTENCE_RULES) == SENTENCE_RULES
    decisions = cross_validated(searched, SENTENCE_RULES, shown=1)
    assert decisions.sure_right > 5 * decisions.sure_wrong
