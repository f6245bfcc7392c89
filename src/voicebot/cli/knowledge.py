"""``voicebot knowledge``: read the folder, ask it, measure how well it answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicebot.cli.context import takes_settings

if TYPE_CHECKING:
    from voicebot.cli.context import CliContext
    from voicebot.engines.embeddings import TextEncoder
    from voicebot.knowledge.evaluation import Decisions, Recall
    from voicebot.knowledge.knowledge import Knowledge
    from voicebot.knowledge.matching import Finding, MatchRules

__all__ = ["knowledge_group"]

_PATH = click.Path(path_type=Path)
_MATCHES_SHOWN = 3
_TEXT_SHOWN = 100


@click.group("knowledge")
def knowledge_group() -> None:
    """The folder that the bot answers from: read it, ask it, measure it."""


def _folder_option() -> click.Option:
    return click.Option(
        ["--folder"], type=_PATH, metavar="FOLDER", help="Instead of knowledge.folder."
    )


@knowledge_group.command("index", params=[_folder_option()])
@takes_settings
def _index(context: CliContext, *, folder: Path | None) -> None:
    """Read the folder, compute what is new, and say what was found and what was left out."""
    context = context.with_flag("knowledge.folder", "--folder", folder)
    from voicebot.knowledge.folder import KnowledgeFolder  # noqa: PLC0415 (start-up time)

    encoder = _encoder(context)
    begun_s = time.perf_counter()
    knowledge = _knowledge(context, encoder)
    took_s = time.perf_counter() - begun_s
    path = context.settings.knowledge.folder
    contents = KnowledgeFolder(path).read_if_changed() if path is not None else None
    passages = knowledge.index.passages
    kinds = {
        kind: sum(one.kind == kind for one in passages) for kind in ("answer", "prose", "code")
    }
    context.console.print(
        f"{len(passages)} passages of {contents.files if contents else 0} files in {took_s:.1f} s: "
        f"{kinds['answer']} question-answer pairs, {kinds['prose']} of prose, {kinds['code']} of "
        f"code; compared by {encoder.name}",
        soft_wrap=True,
    )


@knowledge_group.command(
    "ask", params=[click.Argument(["question"], nargs=-1, required=True), _folder_option()]
)
@takes_settings
def _ask(context: CliContext, *, question: tuple[str, ...], folder: Path | None) -> None:
    """Look QUESTION up, and say what the bot would do with what is found."""
    context = context.with_flag("knowledge.folder", "--folder", folder)
    knowledge = _knowledge(context, _encoder(context))
    begun_s = time.perf_counter()
    finding = knowledge.find(" ".join(question))
    took_ms = 1e3 * (time.perf_counter() - begun_s)
    context.console.print(_what_follows(context, finding), markup=False, soft_wrap=True)
    for found in finding.matches[:_MATCHES_SHOWN]:
        passage = found.passage
        text = " ".join(f"{passage.question} {passage.text}".split())
        shown = text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}…"
        context.console.print(
            f"{found.score:5.2f}  {passage.source}:{passage.line}  {shown}",
            markup=False,
            soft_wrap=True,
        )
    context.console.print(f"{took_ms:.1f} ms", soft_wrap=True)


@knowledge_group.command(
    "evaluate", params=[click.Argument(["questions"], type=_PATH), _folder_option()]
)
@takes_settings
def _evaluate(context: CliContext, *, questions: Path, folder: Path | None) -> None:
    """Measure how well the folder answers QUESTIONS, and which thresholds they call for.

    QUESTIONS is a CSV file with the header question,file,phrase. The phrase stands in the passage
    that answers the question; both file and phrase are empty where none does.
    """
    context = context.with_flag("knowledge.folder", "--folder", folder)
    from voicebot.builders.knowledge import match_rules  # noqa: PLC0415 (start-up time)
    from voicebot.errors import KnowledgeError  # noqa: PLC0415
    from voicebot.knowledge import evaluation  # noqa: PLC0415

    encoder = _encoder(context)
    passages = _knowledge(context, encoder).index.passages
    labelled = evaluation.label_questions(evaluation.read_questions(questions), passages)
    answerable = sum(one.passage is not None for one in labelled)
    if not answerable:
        raise KnowledgeError(
            f"{questions} has no question that the folder answers", "name a file and a phrase"
        )
    searched = evaluation.search_all(labelled, passages, encoder)
    by_meaning = [one.answers for one in searched if one.question.passage is not None]
    by_words = evaluation.search_all_by_words(labelled, passages)
    context.console.print(
        f"{answerable} questions with a passage, {len(labelled) - answerable} without, "
        f"{len(passages)} passages; 95 % bootstrap intervals",
        soft_wrap=True,
    )
    _print_recall(context, encoder.name, evaluation.recall(by_meaning))
    _print_recall(context, "BM25", evaluation.recall(by_words))
    rules, shown = match_rules(context.settings), context.settings.knowledge.passages
    _print_decisions(
        context, "thresholds in force", evaluation.count_decisions(searched, rules, shown)
    )
    _print_decisions(
        context,
        "thresholds of nine tenths, on the tenth",
        evaluation.cross_validated(searched, rules, shown=shown),
    )
    _print_rules(context, evaluation.calibrated(searched, rules))


def _print_recall(context: CliContext, name: str, recall: Recall) -> None:
    parts = [
        f"Recall@{count} {share:.2f}"
        + (f" [{low_high[0]:.2f}, {low_high[1]:.2f}]" if low_high else "")
        for count, share, low_high in (
            (1, recall.at_1, recall.at_1_ci95),
            (5, recall.at_5, recall.at_5_ci95),
        )
    ]
    context.console.print(f"{name:>18}  {'  '.join(parts)}", markup=False, soft_wrap=True)


def _print_decisions(context: CliContext, name: str, counts: Decisions) -> None:
    context.console.print(
        f"{name}: of {counts.answerable} with a passage {counts.sure_right} spoken at once and "
        f"right, {counts.sure_wrong} at once and wrong, {counts.grounded_right} with the passage "
        f"before the model's eyes, {counts.missed} without any; of {counts.unanswerable} without "
        f"one {counts.declined} rightly without any, {counts.sure_unanswerable} answered at once",
        markup=False,
        soft_wrap=True,
    )


def _print_rules(context: CliContext, rules: MatchRules) -> None:
    context.console.print(
        f"these questions call for: knowledge.sure_question={min(rules.sure_question, 2.0)} "
        f"knowledge.sure_passage={min(rules.sure_passage, 2.0)} knowledge.margin={rules.margin} "
        f"knowledge.loose_score={rules.loose}",
        markup=False,
        soft_wrap=True,
    )


def _what_follows(context: CliContext, finding: Finding) -> str:
    from voicebot.knowledge.matching import Sureness  # noqa: PLC0415 (start-up time)

    settings = context.settings.knowledge
    match finding.sureness:
        case Sureness.SURE:
            return f"Sure, spoken as it stands: {finding.matches[0].passage.text}"
        case Sureness.LOOSE if settings.loose == "quote":
            return "Not sure: the best passage is spoken as it stands, if it is short."
        case Sureness.LOOSE:
            return f"Not sure: the language model is shown the best {settings.passages}."
        case Sureness.NONE:
            who = "the bot says so" if settings.only else "the language model answers freely"
            return f"Nothing fits: {who}."


def _encoder(context: CliContext) -> TextEncoder:
    """The encoder, fetched first if it is not here."""
    from voicebot.builders.knowledge import text_encoder  # noqa: PLC0415 (start-up time)
    from voicebot.choice import chosen_encoder  # noqa: PLC0415
    from voicebot.cli.progress import pull_with_progress  # noqa: PLC0415
    from voicebot.models.store import ModelStore  # noqa: PLC0415

    settings = context.settings
    store = ModelStore(settings.models.dir)
    name = chosen_encoder(settings)
    if name and not store.is_ready(name) and not settings.models.offline:
        pull_with_progress(store, [name], context.error_console)
    return text_encoder(settings, store)


def _knowledge(context: CliContext, encoder: TextEncoder) -> Knowledge:
    from voicebot.builders.knowledge import build_knowledge  # noqa: PLC0415 (start-up time)

    return build_knowledge(context.settings, encoder)
