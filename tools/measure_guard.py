"""Measure the guard: precision and recall of its classifier, and the time of a check.

    python tools/measure_guard.py [--questions FILE] [--repeats 200]

Table 1: the examples that come with the program, judged by cross-validation in ten folds, with the
thresholds chosen on the other nine; 95 % bootstrap intervals. Then the thresholds that all of them
together call for, and those in force (``USER_RULES`` and ``BOT_RULES`` in guard/guard.py) with each
example judged by all others; and a row a topic.
Table 2: questions that have no part in the examples (the column ``question`` of a CSV file), and
the clauses of a folder's passages, as the whole guard judges them: how many it would stop, and
which. Next to nothing in them is meant to be stopped.
Table 3: milliseconds a check, of the user's words and of a bot's clause.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.bench.statistics import bootstrap_intervals
from voicebot.engines.embeddings import SentenceEncoder
from voicebot.guard.evaluation import chosen_rules, cross_validated, left_one_out, measured
from voicebot.guard.examples import HARMLESS, builtin_examples
from voicebot.guard.guard import BOT_RULES, USER_RULES, Guard
from voicebot.knowledge.folder import KnowledgeFolder
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.text.clauses import ClauseSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.guard.evaluation import Outcome
    from voicebot.guard.examples import Example, Speaker
    from voicebot.guard.guard import Intervention

_QUESTIONS = Path(__file__).resolve().parents[1] / "tests" / "knowledge" / "questions.csv"
_USER_TEXT = "Can you tell me where the exhibition about the lighthouse begins?"
_CLAUSE = "The lens of the lighthouse is made of many pieces of glass,"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, default=_QUESTIONS)
    parser.add_argument("--folder", type=Path, default=_QUESTIONS.parent / "museum")
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    encoder = SentenceEncoder.load(ModelStore(default_models_dir()).path("all-minilm-l6-v2"))
    _print_classifier("user", encoder)
    _print_classifier("bot", encoder)
    guard = Guard("en", encoder=encoder, knows_examples=True)
    with arguments.questions.open(encoding="utf-8", newline="") as file:
        questions = [row["question"] for row in csv.DictReader(file)]
    _print_false_alarms("questions of users", guard.check_user, questions)
    _print_false_alarms("clauses of a bot", guard.check_bot, _clauses(arguments.folder))
    _print_times("user's words", guard.check_user, _USER_TEXT, arguments.repeats)
    _print_times("bot's clause", guard.check_bot, _CLAUSE, arguments.repeats)


def _print_classifier(speaker: Speaker, encoder: SentenceEncoder) -> None:
    examples = [one for one in builtin_examples() if one.speaker == speaker]
    outcomes = cross_validated(examples, encoder)
    counts = measured(outcomes)
    stopped = [float(one.example.topic != HARMLESS) for one in outcomes if one.topic is not None]
    guilty = [float(one.topic is not None) for one in outcomes if one.example.topic != HARMLESS]
    print(f"\n{speaker}: {len(guilty)} examples of topics, {len(outcomes) - len(guilty)} harmless")
    print(f"  precision {counts.precision:.2f} {_interval(stopped)}")
    print(f"  recall    {counts.recall:.2f} {_interval(guilty)}")
    print(f"  harmless stopped {counts.stopped_wrong}, named right {counts.named_right}")
    print(f"  the best F1 on all examples: {chosen_rules(examples, encoder)}")
    rules = USER_RULES if speaker == "user" else BOT_RULES
    in_force = measured(left_one_out(examples, encoder, rules))
    print(f"  in force: {rules}")
    print(f"    precision {in_force.precision:.2f}, recall {in_force.recall:.2f}, one left out")
    for topic in dict.fromkeys(one.topic for one in examples if one.topic != HARMLESS):
        print(f"  {topic:>15} {_share(outcomes, topic, examples)}")


def _share(outcomes: Sequence[Outcome], topic: str, examples: Sequence[Example]) -> str:
    own = sum(one.topic == topic for one in examples)
    stopped = sum(one.topic is not None for one in outcomes if one.example.topic == topic)
    return f"{stopped} of {own} stopped"


def _interval(values: Sequence[float]) -> str:
    interval = bootstrap_intervals(values).mean
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""


def _clauses(folder: Path) -> list[str]:
    """What a bot would say that reads out the whole folder."""
    contents = KnowledgeFolder(folder).read_if_changed()
    clauses: list[str] = []
    for passage in contents.passages if contents else ():
        if passage.kind != "code":
            splitter = ClauseSplitter()
            clauses += [*splitter.feed(passage.text), *splitter.flush()]
    return clauses


def _print_false_alarms(
    name: str, check: Callable[[str], Intervention | None], texts: Sequence[str]
) -> None:
    stopped = [
        f"{intervention.stopped.topic}: {text}"
        for text in texts
        if (intervention := check(text)) is not None
    ]
    share = len(stopped) / max(1, len(texts))
    print(f"\nof {len(texts)} other {name} {len(stopped)} are stopped ({share:.1%})")
    for line in stopped:
        print(f"  {line}")


def _print_times(name: str, check: Callable[[str], object], text: str, repeats: int) -> None:
    times_ms = []
    for number in range(repeats):
        begun = time.perf_counter()
        check(f"{text} {number}")
        times_ms.append(1e3 * (time.perf_counter() - begun))
    p50, p95 = np.percentile(times_ms, [50, 95])
    print(f"\n{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms a check ({repeats} checks)")


if __name__ == "__main__":
    main()
