"""Files cut into passages. Pure: text in, passages out."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from voicebot.knowledge.passages import Passage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

__all__ = ["LONGEST_PASSAGE_CHARACTERS", "SplitError", "split_csv", "split_markdown", "split_text"]

LONGEST_PASSAGE_CHARACTERS = 600
"""Longer paragraphs are cut between sentences: about a hundred words, as many as the encoder has
learnt to take in at once."""

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_HEADER = ("question", "answer")
_CODE = ("fence", "code_block")


class SplitError(ValueError):
    """A file cannot be cut into passages; the text says why, in a few words."""


def split_text(text: str, source: str) -> list[Passage]:
    """A passage for each paragraph; empty lines stand between paragraphs."""
    passages: list[Passage] = []
    lines: list[str] = []
    start = 1
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.strip():
            start = start if lines else number
            lines.append(line.strip())
        elif lines:
            passages += _prose(" ".join(lines), source, start, ())
            lines = []
    return passages


def split_markdown(text: str, source: str) -> list[Passage]:
    """A passage for each paragraph, list, row of a table and block of code, under its headings.

    Raw HTML and what stands before the first line between two lines of ``---`` are left out.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only where there is Markdown

    front = _FRONT_MATTER.match(text)
    skipped = front.group().count("\n") if front else 0
    tokens = MarkdownIt("commonmark").enable("table").parse(text[front.end() if front else 0 :])
    return list(_MarkdownReader(source, skipped).read(tokens))


def split_csv(text: str, source: str) -> list[Passage]:
    """A passage for each row ``question,answer[,tags]``; a first row with these names is skipped.

    Tags are separated by semicolons.

    Raises:
        SplitError: a row has no question or no answer, or it is not CSV.
    """
    passages = []
    reader = csv.reader(io.StringIO(text), strict=True)
    line = 1
    try:
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells) and tuple(cell.lower() for cell in cells[:2]) != _HEADER:
                if len(cells) < len(_HEADER) or not (cells[0] and cells[1]):
                    raise SplitError(f"line {line} is not question,answer")
                passages.append(
                    Passage(
                        cells[1],
                        source,
                        line,
                        "answer",
                        question=cells[0],
                        tags=tuple(one.strip() for cell in cells[2:] for one in cell.split(";")),
                    )
                )
            line = reader.line_num + 1
    except csv.Error as error:
        raise SplitError(f"line {line} is not CSV ({error})") from error
    return passages


class _MarkdownReader:
    """Goes through the tokens of one file."""

    def __init__(self, source: str, skipped_lines: int) -> None:
        self._source = source
        self._skipped_lines = skipped_lines
        self._headings: list[tuple[int, str]] = []
        self._header: list[str] = []

    def read(self, tokens: Sequence[Token]) -> Iterator[Passage]:
        index = 0
        while index < len(tokens):
            token = tokens[index]
            end = index + 1
            if token.nesting == 1:
                end = _end_of(tokens, index)
                inner = tokens[index + 1 : end - 1]
                if token.type == "blockquote_open":
                    yield from self.read(inner)
                else:
                    yield from self._block(token, inner)
            elif token.type in _CODE and token.content.strip():
                yield self._code(token)
            index = end

    def _block(self, token: Token, inner: Sequence[Token]) -> Iterator[Passage]:
        match token.type:
            case "heading_open":
                level = int(token.tag[1:])
                self._headings = [one for one in self._headings if one[0] < level]
                self._headings.append((level, _plain(inner)))
            case "paragraph_open":
                yield from self._prose(_plain(inner), token)
            case "bullet_list_open" | "ordered_list_open":
                yield from self._list(token, inner)
            case "table_open":
                yield from self._table(inner)

    def _list(self, token: Token, inner: Sequence[Token]) -> Iterator[Passage]:
        items, index = [], 0
        while index < len(inner):
            end = _end_of(inner, index)
            for one in inner[index:end]:
                if one.type in _CODE and one.content.strip():
                    yield self._code(one)
            items.append(_plain(inner[index:end]))
            index = end
        marks = (".", "!", "?")
        sentences = [item if item.endswith(marks) else f"{item}." for item in items if item]
        yield from self._prose(" ".join(sentences), token)

    def _table(self, inner: Sequence[Token]) -> Iterator[Passage]:
        header: list[str] = []
        index = 0
        while index < len(inner):
            if inner[index].type != "tr_open":
                index += 1
                continue
            end = _end_of(inner, index)
            row = inner[index:end]
            cells = [one.content.strip() for one in row if one.type == "inline"]
            if row[1].type == "th_open":
                header = cells
            else:
                named = zip(header, cells, strict=False)
                text = ", ".join(f"{name}: {cell}" if name else cell for name, cell in named)
                yield from self._prose(f"{text}." if text else "", inner[index])
            index = end

    def _code(self, token: Token) -> Passage:
        code = token.content.rstrip("\n")
        return Passage(code, self._source, self._line(token), "code", self._path())

    def _prose(self, text: str, token: Token) -> Iterator[Passage]:
        yield from _prose(text, self._source, self._line(token), self._path())

    def _path(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._headings if text)

    def _line(self, token: Token) -> int:
        return (token.map[0] if token.map else 0) + 1 + self._skipped_lines


def _end_of(tokens: Sequence[Token], start: int) -> int:
    """Behind the token that closes the one at ``start``."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index + 1
    return len(tokens)


def _plain(tokens: Sequence[Token]) -> str:
    """The words of inline tokens, without their markup."""
    parts = []
    for token in tokens:
        for child in token.children or ():
            if child.type in {"text", "code_inline"}:
                parts.append(child.content)
            elif child.type in {"softbreak", "hardbreak"}:
                parts.append(" ")
            elif child.type == "image":
                parts.append(child.content)
        parts.append(" ")
    return " ".join("".join(parts).split())


def _prose(text: str, source: str, line: int, headings: tuple[str, ...]) -> list[Passage]:
    return [Passage(part, source, line, headings=headings) for part in _in_parts(text)]


def _in_parts(text: str) -> Iterator[str]:
    """``text`` as it is, or cut between sentences (in the worst case words) if it is long."""
    part = ""
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        for piece in _at_most(sentence):
            if part and len(part) + 1 + len(piece) > LONGEST_PASSAGE_CHARACTERS:
                yield part
                part = ""
            part = f"{part} {piece}" if part else piece
    if part:
        yield part


def _at_most(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST_PASSAGE_CHARACTERS:
        space = sentence.rfind(" ", 1, LONGEST_PASSAGE_CHARACTERS)
        cut = space if space > 0 else LONGEST_PASSAGE_CHARACTERS
        yield sentence[:cut]
        sentence = sentence[cut:].lstrip()
    yield sentence
