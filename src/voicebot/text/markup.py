"""What is left of Markdown when it is heard: which characters, and where they stood.

Inline markup is read by markdown-it-py, whose pieces of text are found again in the original. Marks
at the start of a line (headings, lists, quotes, fences, table rules) are taken off beforehand by
hand: a clause stands alone, and "1883." alone would be an empty list item to a Markdown parser.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

__all__ = ["HeardText", "heard_text"]

_LINE_MARK = re.compile(
    r"^[ \t]*(?:```[^\n`]*$|~~~[^\n~]*$|(?:[-*_=][ \t]*){3,}$|[|:\- \t]*-{2,}[|:\- \t]*$"
    r"|(?:>[ \t]?)+|\#{1,6}[ \t]+|[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?)",
    re.MULTILINE,
)
_PRODUCT = re.compile(r"(?<=[0-9])\*(?=[0-9])")
# The parser would change these itself, and positions would no longer match.
_UNSAFE = {0: " ", ord("\r"): " "}
_INLINE_RULES = ["backticks", "emphasis", "strikethrough", "link", "image", "autolink"]


@dataclass(frozen=True, slots=True)
class HeardText:
    """Text without markup.

    Attributes:
        text: what is left.
        origins: for each character of ``text``, the range in the original that it stands for.
    """

    text: str
    origins: tuple[tuple[int, int], ...]


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero", {"html": True})
    parser.enable([*_INLINE_RULES, "html_inline", "entity", "escape"])
    # It would join an entity with the text around it, which then is not found in the original.
    return parser.disable("text_join")


def heard_text(original: str) -> HeardText:
    """Take Markdown off ``original``."""
    characters: list[str] = []
    origins: list[tuple[int, int]] = []
    bare = _LINE_MARK.sub(lambda mark: " " * len(mark.group()), original)
    bare = _PRODUCT.sub("×", bare.translate(_UNSAFE))  # noqa: RUF001 - the sign
    cursor = 0
    for content, written in _pieces(bare):
        start = bare.find(written, cursor)
        if start < 0:
            continue
        cursor = start + len(written)
        if content == written:
            origins += [(index, index + 1) for index in range(start, cursor)]
        else:
            origins += [(start, cursor)] * len(content)
        characters.append(content)
    return HeardText("".join(characters), tuple(origins))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text's visible pieces, each as it reads and as it was written."""
    for block in _parser().parseInline(text):
        yield from _inline_pieces(block.children or [])


def _inline_pieces(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    for token in tokens:
        if token.type == "text_special":
            yield token.content, token.markup
        elif token.type == "image":
            yield from _inline_pieces(token.children or [])
        elif token.type in {"text", "code_inline"}:
            yield token.content, token.content
        elif token.type in {"softbreak", "hardbreak"}:
            yield "\n", "\n"
