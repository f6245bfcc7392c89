"""Token ids in, text out, piece by piece: never half a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PieceDecoder"]

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class PieceDecoder:
    """Decodes a growing list of token ids into pieces whose concatenation is the exact text.

    The whole list is decoded anew at each token, since a tokenizer may join or drop spaces by
    what stands before: a hundred tokens take well under a millisecond, far less than the model
    needs for one. A character may span several tokens; until it is complete the tokenizer
    shows replacement characters at the end of the text, and these are held back.

    Args:
        decode: the tokenizer's decoding of a list of token ids.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._token_ids: list[int] = []
        self._given_characters = 0

    def add(self, token_id: int) -> str:
        """Take the next token; give the text that became certain with it, maybe none.

        All pieces together are what ``decode`` makes of all tokens, but for replacement
        characters at the very end: an unfinished character is never given.
        """
        self._token_ids.append(token_id)
        text = self._decode(self._token_ids).rstrip(_INCOMPLETE)
        piece = text[self._given_characters :]
        self._given_characters = max(self._given_characters, len(text))
        return piece
