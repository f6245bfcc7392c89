"""What was said: the user's words, and the bot's as far as they were heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicebot.engines.protocols import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Exchange", "History"]

_CHARACTERS_PER_TOKEN = 3.0
_TOKENS_PER_MESSAGE = 8


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of the user and what they heard in answer."""

    turn: int
    user_text: str
    heard_text: str = ""


class History:
    """The conversation so far, as the language model is to see it.

    Only what happened stands in it: a draft never does, and a reply only up to the last word that
    was heard.

    Args:
        system_prompt: goes in front; may be empty.
        max_tokens: estimated budget. When it is passed, the oldest exchanges go, down to half of
            it at once, so that the language model's kept cache is broken seldom.
        examples: exchanges (user, assistant) that are shown before the conversation.
        write: turns what was said into what would be written, for the language model's eyes.
    """

    def __init__(
        self,
        system_prompt: str,
        *,
        max_tokens: int,
        examples: Sequence[tuple[str, str]] = (),
        write: Callable[[str], str] = str,
    ) -> None:
        self._opening = [Message("system", system_prompt)] if system_prompt else []
        for user, assistant in examples:
            self._opening += [Message("user", user), Message("assistant", assistant)]
        self._max_tokens = max_tokens
        self._write = write
        self._exchanges: list[Exchange] = []

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges that are kept, oldest first."""
        return tuple(self._exchanges)

    def messages(self, user_text: str | None = None) -> list[Message]:
        """The conversation as chat messages, ending in ``user_text`` if it is given.

        Asking does not change the history: a draft may ask for any text.
        """
        messages = list(self._opening)
        for exchange in self._exchanges:
            messages.append(Message("user", self._write(exchange.user_text)))
            if exchange.heard_text:
                messages.append(Message("assistant", exchange.heard_text))
        if user_text is not None:
            messages.append(Message("user", self._write(user_text)))
        return messages

    def add_user(self, turn: int, text: str) -> None:
        """The user's turn was committed."""
        self._exchanges.append(Exchange(turn, text))
        self._trim()

    def set_heard(self, turn: int, text: str) -> None:
        """What was heard of the reply to ``turn``; ignored for a turn that is not kept."""
        for index, exchange in enumerate(self._exchanges):
            if exchange.turn == turn:
                self._exchanges[index] = replace(exchange, heard_text=text)

    def lengthen_heard(self, turn: int, text: str) -> None:
        """The reply to ``turn`` was heard again, perhaps further than before."""
        for exchange in self._exchanges:
            if exchange.turn == turn and len(text) > len(exchange.heard_text):
                self.set_heard(turn, text)

    def withdraw(self, turn: int) -> None:
        """``turn`` goes on in a later one: neither its words nor its reply stand any more."""
        self._exchanges = [exchange for exchange in self._exchanges if exchange.turn != turn]

    def forget(self) -> None:
        """Whoever spoke has gone: nothing was said."""
        self._exchanges.clear()

    def _trim(self) -> None:
        if self._estimate() <= self._max_tokens:
            return
        while len(self._exchanges) > 1 and self._estimate() > self._max_tokens / 2:
            del self._exchanges[0]

    def _estimate(self) -> float:
        return sum(
            len(message.content) / _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE
            for message in self.messages()
        )
