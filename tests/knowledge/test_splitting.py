"""Files cut into passages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.knowledge.splitting import (
    LONGEST_PASSAGE_CHARACTERS,
    SplitError,
    split_csv,
    split_markdown,
    split_text,
)

MARKDOWN = """---
title: left out
---
# The shop

We sell *books* and [charts](http://example.org).
They are
cheap.

## When

- Monday to Friday
- Saturdays!

```bash
open-shop --now
```

### Prices

| Thing | Crowns |
|---|---|
| Book | 12 |

> It was quoted.

## Where
<script>alert("no")</script>

Beside the exit.
"""


def test_markdown_keeps_headings_lines_and_code() -> None:
    passages = split_markdown(MARKDOWN, "shop.md")
    assert [(one.text, one.kind, one.headings) for one in passages] == [
        ("We sell books and charts. They are cheap.", "prose", ("The shop",)),
        ("Monday to Friday. Saturdays!", "prose", ("The shop", "When")),
        ("open-shop --now", "code", ("The shop", "When")),
        ("Thing: Book, Crowns: 12.", "prose", ("The shop", "When", "Prices")),
        ("It was quoted.", "prose", ("The shop", "When", "Prices")),
        ("Beside the exit.", "prose", ("The shop", "Where")),
    ]
    lines = MARKDOWN.splitlines()
    assert lines[passages[0].line - 1].startswith("We sell")
    assert lines[passages[2].line - 1] == "```bash"
    assert passages[0].searched_texts == ("The shop We sell books and charts. They are cheap.",)


def test_text_is_cut_at_empty_lines() -> None:
    passages = split_text("One line\nand its end.\n\n \nAnother.\n", "a.txt")
    assert [(one.text, one.line) for one in passages] == [
        ("One line and its end.", 1),
        ("Another.", 5),
    ]


def test_long_paragraphs_are_cut_between_sentences() -> None:
    sentence = "This is a sentence of some length. "
    passages = split_text(sentence * 40, "a.txt")
    assert len(passages) > 1
    assert all(one.text.endswith("length.") for one in passages)
    assert all(len(one.text) <= LONGEST_PASSAGE_CHARACTERS for one in passages)
    assert "".join(one.text + " " for one in passages) == sentence * 40


@given(st.text())
def test_no_text_is_lost_or_breaks_the_cutting(text: str) -> None:
    kept = "".join("".join(one.text.split()) for one in split_text(text, "a.txt"))
    assert kept == "".join(text.split())
    for one in (*split_markdown(text, "a.md"), *split_text(text, "a.txt")):
        assert one.text.strip()
        assert one.line >= 1
    assert all(
        len(one.text) <= LONGEST_PASSAGE_CHARACTERS for one in split_text(text * 50, "a.txt")
    )


def test_csv_rows_are_pairs() -> None:
    text = 'Question,Answer,Tags\nWhen?,"At nine,\nor ten.",time; opening\n\nWhere?,Here.\n'
    first, second = split_csv(text, "faq.csv")
    assert (first.question, first.text, first.tags) == (
        "When?",
        "At nine, or ten.",
        ("time", "opening"),
    )
    assert (first.line, second.line) == (2, 5)
    assert second.kind == "answer"
    assert second.searched_texts == ("Where? Here.", "Where?")


@pytest.mark.parametrize("text", ["only a question\n", "a,\n", ',"b"\n', 'a,"b\n'])
def test_what_is_no_pair_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SplitError, match="line 2"):
        split_csv("question,answer\n" + text, "faq.csv")
