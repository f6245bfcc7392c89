"""Which messages a model is shown when it cannot be shown all (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.engines.protocols import Message
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ContextWindow"]


class ContextWindow:
    """Drops the oldest exchanges of a conversation that has outgrown the model's context.

    Half of the room is freed at once, and what was dropped stays so: a draft, its commit and the
    next turn see the same beginning, and the kept cache is broken seldom.

    Args:
        opening: so many messages at the start are shown always, such as examples; a system
            message counts as one in any case.
    """

    def __init__(self, opening: int = 0) -> None:
        self._opening = opening
        self._dropped: tuple[Message, ...] = ()

    @property
    def has_dropped(self) -> bool:
        """Whether there is anything that is no longer shown."""
        return bool(self._dropped)

    def fit(
        self, messages: Sequence[Message], count: Callable[[Sequence[Message]], int], budget: int
    ) -> list[Message]:
        """What to show of ``messages``.

        If even the opening and the last message are too long, the examples go, and then the
        beginning of the last message.

        Args:
            messages: the whole conversation.
            count: tokens of the prompt for a conversation.
            budget: the most tokens that the prompt may have.

        Raises:
            EngineError: the system message alone is too long.
        """
        has_system = bool(messages) and messages[0].role == "system"
        split = max(self._opening, int(has_system))
        opening, said = list(messages[:split]), list(messages[split:])
        known = len(self._dropped)
        if self._dropped and tuple(said[:known]) == self._dropped and len(said) > known:
            rest = said[known:]
        else:
            self._dropped, rest = (), said
        if count([*opening, *rest]) <= budget:
            return [*opening, *rest]
        rest = _newest(rest, lambda kept: count([*opening, *kept]) <= budget // 2)
        self._dropped = tuple(said[: len(said) - len(rest)])
        if count([*opening, *rest]) > budget:
            opening = opening[: int(has_system)]
        while rest and rest[-1].content and count([*opening, *rest]) > budget:
            words = rest[-1].content
            rest = [Message(rest[-1].role, words[(len(words) + 1) // 2 :])]
        if count([*opening, *rest]) > budget:
            raise EngineError(
                "the system prompt is longer than the model's context",
                "shorten llm.system_prompt, or choose a model with a longer context",
            )
        return [*opening, *rest]


def _newest(said: list[Message], fits: Callable[[list[Message]], bool]) -> list[Message]:
    """The longest end of ``said`` that begins with the user and fits; at least the last turn."""
    starts = [index for index, message in enumerate(said) if message.role == "user"]
    if not starts:
        return said[-1:]
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if fits(said[starts[middle] :]):
            high = middle
        else:
            low = middle + 1
    return said[starts[low] :]
