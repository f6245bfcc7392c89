"""Measure whether the language model's answers keep to the passage that it is shown.

    python tools/measure_grounding.py [--questions FILE] [--folder FOLDER] [--limit 60] [--seed 0]

Of the labelled questions whose passage is found first, though not surely, a random sample is
answered by SmolLM2-135M-Instruct with one passage, with two (the second is the next best, which
does not belong there), and with none. Counted: answers in which a number stands that is neither in
the first passage nor in the question ("wrong number"), and answers at least half of whose longer
words stand in the first passage ("keeps to it"). Both are signs, no judgement: read the answers
with --show.
"""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.config import Settings
from voicebot.conversation_rules import new_history
from voicebot.engines.embeddings import SentenceEncoder
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.protocols import TextPiece
from voicebot.knowledge.evaluation import label_questions, read_questions, search_all
from voicebot.knowledge.folder import KnowledgeFolder
from voicebot.knowledge.matching import SENTENCE_RULES, Sureness, judge
from voicebot.knowledge.prompt import with_note
from voicebot.languages.language import words
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.text.normalise import normalise_words

if TYPE_CHECKING:
    from voicebot.knowledge.evaluation import SearchedQuestion

_DATA = Path(__file__).resolve().parents[1] / "tests" / "knowledge"
_NUMBERS = words("""
    zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million half
    """)
_LONGER = 4


def main() -> None:
    """Print a line for each number of passages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, default=_DATA / "questions.csv")
    parser.add_argument("--folder", type=Path, default=_DATA / "museum")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the answers")
    arguments = parser.parse_args()
    store = ModelStore(default_models_dir())
    found = _loosely_found(arguments.questions, arguments.folder, store)
    order = np.random.default_rng(arguments.seed).permutation(len(found))[: arguments.limit]
    llm = LocalLlm.load(store.path("smollm2-135m-instruct"), threads=1, max_tokens=48)
    for shown in (1, 2, 0):
        wrong_numbers = keeping = 0
        for index in order:
            one = found[index]
            reply = _reply(llm, one, shown)
            passage = one.found[0].passage
            known = {*_words(f"{passage.text} {passage.question}"), *_words(one.question.text)}
            said = _words(reply)
            wrong = [word for word in said if word in _NUMBERS and word not in known]
            longer = [word for word in said if len(word) >= _LONGER]
            wrong_numbers += bool(wrong)
            keeps = sum(word in known for word in longer) * 2 >= max(1, len(longer))
            keeping += keeps
            if arguments.show:
                print(f"{'keeps' if keeps else 'leaves':>6} {wrong} {one.question.text}: {reply}")
        print(
            f"{shown} passages: of {len(order)} answers {keeping} keep to the passage, "
            f"{wrong_numbers} hold a wrong number"
        )


def _loosely_found(questions: Path, folder: Path, store: ModelStore) -> list[SearchedQuestion]:
    contents = KnowledgeFolder(folder).read_if_changed()
    passages = contents.passages if contents else ()
    labelled = label_questions(read_questions(questions), passages)
    encoder = SentenceEncoder.load(store.path("all-minilm-l6-v2"))
    return [
        one
        for one in search_all(labelled, passages, encoder)
        if one.answers[0]
        and one.found[0].passage.kind != "code"
        and judge(one.found, SENTENCE_RULES).sureness is Sureness.LOOSE
    ]


def _reply(llm: LocalLlm, one: SearchedQuestion, shown: int) -> str:
    messages = new_history(Settings()).messages(one.question.text)
    if shown:
        messages = with_note(messages, [found.passage for found in one.found[:shown]])
    pieces = llm.generate(messages, threading.Event())
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)).strip()


def _words(text: str) -> list[str]:
    return normalise_words(text)


if __name__ == "__main__":
    main()
