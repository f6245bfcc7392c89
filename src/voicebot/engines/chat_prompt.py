"""A conversation as the token ids a model expects, from the files beside its weights.

Only ``tokenizers`` and ``jinja2`` are needed: transformers' own tokenizer classes take a second
and more to import and build, and give the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from voicebot.engines.chat_template import ChatTemplate
from voicebot.engines.protocols import Message
from voicebot.engines.thoughts import shown_in_markers
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

__all__ = ["ChatPrompt", "PromptTokens"]

_SENTENCE_ENDS = ".?!"
_BYTE_LEVEL_SPACES = "ĠĊ▁ \n"
"""How byte-level and SentencePiece vocabularies write a space or a line break."""

_PLACEHOLDER = "placeholder-for-the-words"

_END_MARKERS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "</s>")
"""Ends of a message in the common chat formats; those the tokenizer knows as special count. What a
model's own template writes behind a message counts as well."""

_CHANNEL, _END_OF_CHANNEL = "<|channel|>", "<|end|>"
"""Where a reply has channels (gpt-oss), the end of one is not the end of the reply."""


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """A rendered conversation.

    Attributes:
        ids: token ids.
        last_word_index: index in ``ids`` of the last token of the user's words, without the
            punctuation behind them; None if it cannot be told.
    """

    ids: tuple[int, ...]
    last_word_index: int | None


class ChatPrompt:
    """Tokenizer and chat template of one model.

    Args:
        tokenizer: the model's tokenizer.
        template: its chat template.
        end_ids: token ids that end a message.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: ChatTemplate, end_ids: frozenset[int]
    ) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._special = {
            token_id: token.content
            for token_id, token in tokenizer.get_added_tokens_decoder().items()
            if token.special
        }
        reply_end = self._id_behind("assistant")
        self.end_ids = end_ids | ({reply_end} if reply_end is not None else set())
        self._user_end_id = self._id_behind("user")

    @property
    def marker_texts(self) -> dict[int, str]:
        """Special tokens that mark a thought, which ``decode`` leaves out, and their text."""
        return {i: text for i, text in self._special.items() if shown_in_markers(text)}

    @classmethod
    def load(cls, path: Path) -> ChatPrompt:
        """Read tokenizer.json, tokenizer_config.json and the chat template in folder ``path``.

        Raises:
            ModelMissingError: a file is not there.
            ModelDamagedError: a file cannot be read, or the model has no chat template.
        """
        from tokenizers import Tokenizer  # noqa: PLC0415 - heavy, so loaded when needed

        facts = read_json(path / "tokenizer_config.json")
        tokenizer_path = path / "tokenizer.json"
        if not tokenizer_path.is_file():
            raise ModelMissingError(
                f"the language model's tokenizer.json is missing in {path}", "fetch the model again"
            )
        try:
            tokenizer = Tokenizer.from_file(str(tokenizer_path))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise ModelDamagedError(
                f"cannot read {tokenizer_path}: {error}", "fetch the model again"
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        special_tokens = {
            name: token["content"] if isinstance(token, dict) else str(token)
            for name, token in facts.items()
            if name.endswith("_token") and isinstance(token, str | dict)
        }
        template = ChatTemplate(_template_source(path, facts), special_tokens)
        return cls(tokenizer, template, _end_ids(path, tokenizer, special_tokens))

    def tokens(self, messages: Sequence[Message]) -> PromptTokens:
        """The prompt for a reply to ``messages``.

        If the last message is not the user's, the prompt ends where the user's words would
        begin: what can be read before they are known.

        Raises:
            EngineError: the chat template refuses the conversation.
        """
        if not messages or messages[-1].role != "user":
            rendered = self._template.render([*messages, Message("user", _PLACEHOLDER)])
            before, found, _ = rendered.rpartition(_PLACEHOLDER)
            ids = self._tokenizer.encode(before, add_special_tokens=False).ids if found else []
            return PromptTokens(tuple(ids), None)
        rendered = self._template.render(messages)
        encoding = self._tokenizer.encode(rendered, add_special_tokens=False)
        end = self._words_end(messages, rendered)
        index = None
        if end is not None:
            spans = enumerate(encoding.offsets)
            index = next((i for i, (start, stop) in spans if stop == end and start < stop), None)
        return PromptTokens(tuple(encoding.ids), index)

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, special tokens recognised."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ``token_ids``, special tokens left out."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def sentence_end_ids(self) -> list[int]:
        """Ids of the tokens that end a message or consist of sentence-final punctuation."""
        ids = set(self.end_ids)
        if self._user_end_id is not None:
            ids.add(self._user_end_id)
        for token, token_id in self._tokenizer.get_vocab().items():
            mark = token.strip(_BYTE_LEVEL_SPACES)
            if mark[:1] in _SENTENCE_ENDS and mark and not any(map(str.isalnum, mark)):
                ids.add(token_id)
        return sorted(ids)

    def _words_end(self, messages: Sequence[Message], rendered: str) -> int | None:
        """Where the user's words end in ``rendered``, found by putting others in their place."""
        words = messages[-1].content.rstrip().rstrip(_SENTENCE_ENDS + "…").rstrip()
        marked = self._template.render([*messages[:-1], Message("user", _PLACEHOLDER)])
        before, found, after = marked.rpartition(_PLACEHOLDER)
        if not (words and found and rendered.startswith(before) and rendered.endswith(after)):
            return None
        start = rendered.find(words, len(before))
        end = start + len(words)
        return end if start >= 0 and end <= len(rendered) - len(after) else None

    def _id_behind(self, role: Literal["user", "assistant"]) -> int | None:
        """The special token that the template writes right behind the words of ``role``."""
        turns = [Message("user", "a"), Message("assistant", _PLACEHOLDER)]
        if role == "user":
            turns = [Message("user", _PLACEHOLDER)]
        try:
            rendered = self._template.render(turns, asks_for_reply=role == "user")
        except EngineError:
            return None  # It shows again, with the conversation that it concerns.
        behind = rendered.rpartition(_PLACEHOLDER)[2].lstrip()
        first = next(iter(self._tokenizer.encode(behind, add_special_tokens=False).ids), None)
        return first if first in self._special else None


def _template_source(path: Path, facts: dict[str, Any]) -> str:
    file = path / "chat_template.jinja"
    try:
        source = file.read_text(encoding="utf-8") if file.is_file() else facts.get("chat_template")
        if isinstance(source, list):  # several by name: one for tools, one for talk
            named = {one.get("name"): one.get("template") for one in source}
            source = named.get("default")
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"cannot read {file}: {error}", "fetch the model again") from error
    if not isinstance(source, str):
        raise ModelDamagedError(
            f"the model in {path} has no chat template", "choose a model made for conversation"
        )
    return source


def _end_ids(path: Path, tokenizer: Tokenizer, special_tokens: dict[str, str]) -> frozenset[int]:
    """Every id that ends a message, from both configurations and the tokenizer."""
    ids: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        if (path / name).is_file():
            listed = read_json(path / name).get("eos_token_id")
            ids.update(listed if isinstance(listed, list) else [] if listed is None else [listed])
    special = {t.content: i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
    names = [*_END_MARKERS, special_tokens.get("eos_token", "")]
    if _CHANNEL in special:
        names.remove(_END_OF_CHANNEL)
    ids.update(special[name] for name in names if name in special)
    return frozenset(ids)
