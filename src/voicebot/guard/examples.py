"""Sentences that show what belongs to a topic and what only sounds like it."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from voicebot.errors import KnowledgeError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HARMLESS", "Example", "OwnTopic", "Speaker", "builtin_examples", "read_topics"]

Speaker: TypeAlias = Literal["user", "bot"]

HARMLESS = "harmless"
"""The topic of the sentences that are close to others and may be said."""

_FILE = "examples.csv"


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled sentence.

    Attributes:
        speaker: who says such a thing; a bot is measured by other sentences than its users.
        topic: what it belongs to, or ``HARMLESS``.
        sentence: in English, as it would be said.
    """

    speaker: Speaker
    topic: str
    sentence: str


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """A topic of the operator's.

    Attributes:
        name: what interventions are counted under.
        examples: what users or the bot would say that belongs to it.
        say: the answer; empty for the language's own refusal.
    """

    name: str
    examples: tuple[str, ...]
    say: str


def builtin_examples() -> tuple[Example, ...]:
    """The examples that come with the program."""
    text = resources.files("voicebot.guard").joinpath(_FILE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        Example(cast("Speaker", row["speaker"]), row["topic"], row["sentence"]) for row in rows
    )


def read_topics(path: Path) -> tuple[OwnTopic, ...]:
    """The operator's topics: a TOML file with a table for each, and ``examples`` in it.

    Raises:
        KnowledgeError: the file cannot be read, or is not of this form.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise KnowledgeError(
            f"the topics {path} cannot be read: {error.strerror or error}", "see guard.topics_file"
        ) from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise KnowledgeError(f"the topics {path} are not TOML: {error}") from error
    topics = []
    for name, table in tables.items():
        examples = table.get("examples") if isinstance(table, dict) else None
        say = table.get("say", "") if isinstance(table, dict) else ""
        if not isinstance(examples, list) or not examples or not isinstance(say, str):
            raise _bad_topic(path, name)
        has_other_keys = bool(set(table) - {"examples", "say"})
        if has_other_keys or not all(isinstance(one, str) and one.strip() for one in examples):
            raise _bad_topic(path, name)
        topics.append(OwnTopic(name, tuple(examples), say))
    return tuple(topics)


def _bad_topic(path: Path, name: str) -> KnowledgeError:
    return KnowledgeError(
        f"the topic {name!r} in {path} needs a list of sentences called examples, and may say one",
        "docs/guard.md shows such a file",
    )
