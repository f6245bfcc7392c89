"""A reply as it is written, token by token: its text, what of it is spoken, and when it loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.piece_decoder import PieceDecoder
from voicebot.engines.prefix_cache import repeats_itself
from voicebot.engines.thoughts import ThoughtFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["WrittenPiece", "WrittenReply"]

_REPEATED_THOUGHT_TOKENS = 32
"""A thought goes over its words again and again; only a long run of them is a loop."""


@dataclass(frozen=True, slots=True)
class WrittenPiece:
    """What one token adds.

    Attributes:
        text: to be spoken; may be empty.
        is_hidden: the token belongs to a thought.
        is_spoken: it counts as a part of what is spoken; neither of the two as long as it may
            belong to the beginning of a thought.
    """

    text: str
    is_hidden: bool
    is_spoken: bool


class WrittenReply:
    """What has been written of the reply to a prompt.

    Args:
        prompt_ids: the prompt.
        decode: the tokenizer's decoding of a list of token ids, special tokens left out.
        marker_texts: special tokens that mark thoughts, and their text.
    """

    def __init__(
        self,
        prompt_ids: tuple[int, ...],
        decode: Callable[[Sequence[int]], str],
        marker_texts: Mapping[int, str],
    ) -> None:
        self.prompt_ids = prompt_ids
        self.token_ids: list[int] = []
        self.pieces: list[WrittenPiece] = []
        self.is_over = False
        self.is_thought_ended = False  # by the engine, since it took too long
        self._decoder = PieceDecoder(decode)
        self._marker_texts = marker_texts
        self._filter = ThoughtFilter()
        self._spoken_from = 0

    def would_loop(self, token_id: int) -> bool:
        """Whether the reply repeats itself with ``token_id``."""
        if self._filter.is_hidden:
            return repeats_itself([*self.token_ids, token_id], _REPEATED_THOUGHT_TOKENS)
        return repeats_itself([*self.token_ids[self._spoken_from :], token_id])

    def add(self, token_id: int) -> None:
        """The next token."""
        was_hidden = self._filter.is_hidden
        text = self._marker_texts.get(token_id) if self._marker_texts else None
        spoken = self._filter.feed(self._decoder.add(token_id) if text is None else text)
        self.token_ids.append(token_id)
        is_hidden = self._filter.is_hidden
        in_thought = was_hidden or is_hidden
        is_spoken = not (in_thought or self._filter.is_undecided)
        self.pieces.append(WrittenPiece(spoken, in_thought, is_spoken))
        if was_hidden and not is_hidden:
            self._spoken_from = len(self.token_ids)

    def thought_ending(self) -> str:
        """What ends the thought in which the reply stands; empty if it stands in none."""
        return self._filter.ending()

    def held_text(self) -> str:
        """What was held back since it might have begun a thought; for when the reply is over."""
        return self._filter.held_text()
