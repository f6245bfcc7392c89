"""A conversation as the token ids a model expects, from the files beside its weights.

Only ``tokenizers`` and ``jinja2`` are needed: transformers' own tokenizer classes take a second
and more to import and build, and give the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from voicebot.engines.protocols import Message
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jinja2 import Template
    from tokenizers import Tokenizer

__all__ = ["ChatPrompt", "PromptTokens"]

_SENTENCE_ENDS = ".?!"
_BYTE_LEVEL_SPACES = "ĠĊ▁ \n"
"""How byte-level and SentencePiece vocabularies write a space or a line break."""

_PLACEHOLDER = "placeholder-for-the-words"

_END_MARKERS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "</s>")
"""Ends of a message in the common chat formats; those the tokenizer knows as special count."""


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
        template: its compiled chat template.
        special_tokens: what the template may refer to, such as ``bos_token``.
        end_ids: token ids that end a message.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: Template,
        special_tokens: dict[str, str],
        end_ids: frozenset[int],
    ) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._special_tokens = special_tokens
        self.end_ids = end_ids

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
        template = _compile_template(_template_source(path, facts))
        return cls(tokenizer, template, special_tokens, _end_ids(path, tokenizer, special_tokens))

    def tokens(self, messages: Sequence[Message]) -> PromptTokens:
        """The prompt for a reply to ``messages``.

        If the last message is not the user's, the prompt ends where the user's words would
        begin: what can be read before they are known.

        Raises:
            EngineError: the chat template refuses the conversation.
        """
        if not messages or messages[-1].role != "user":
            rendered = self._render([*messages, Message("user", _PLACEHOLDER)])
            before, found, _ = rendered.rpartition(_PLACEHOLDER)
            ids = self._tokenizer.encode(before, add_special_tokens=False).ids if found else []
            return PromptTokens(tuple(ids), None)
        rendered = self._render(messages)
        encoding = self._tokenizer.encode(rendered, add_special_tokens=False)
        end = self._words_end(messages, rendered)
        index = None
        if end is not None:
            spans = enumerate(encoding.offsets)
            index = next((i for i, (start, stop) in spans if stop == end and start < stop), None)
        return PromptTokens(tuple(encoding.ids), index)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ``token_ids``, special tokens left out."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def sentence_end_ids(self) -> list[int]:
        """Ids of the tokens that end a message or consist of sentence-final punctuation."""
        ids = set(self.end_ids)
        for token, token_id in self._tokenizer.get_vocab().items():
            mark = token.strip(_BYTE_LEVEL_SPACES)
            if mark[:1] in _SENTENCE_ENDS and mark and not any(map(str.isalnum, mark)):
                ids.add(token_id)
        return sorted(ids)

    def _words_end(self, messages: Sequence[Message], rendered: str) -> int | None:
        """Where the user's words end in ``rendered``, found by putting others in their place."""
        words = messages[-1].content.rstrip().rstrip(_SENTENCE_ENDS + "…").rstrip()
        marked = self._render([*messages[:-1], Message("user", _PLACEHOLDER)])
        before, found, after = marked.rpartition(_PLACEHOLDER)
        if not (words and found and rendered.startswith(before) and rendered.endswith(after)):
            return None
        start = rendered.find(words, len(before))
        end = start + len(words)
        return end if start >= 0 and end <= len(rendered) - len(after) else None

    def _render(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError  # noqa: PLC0415 - loaded with the template

        conversation = [{"role": m.role, "content": m.content} for m in messages]
        try:
            return self._template.render(
                messages=conversation, add_generation_prompt=True, **self._special_tokens
            )
        except TemplateError as error:
            raise EngineError(
                f"the model's chat template refuses the conversation: {error}",
                "use a model whose template takes system, user and assistant messages",
            ) from error


def _template_source(path: Path, facts: dict[str, Any]) -> str:
    file = path / "chat_template.jinja"
    try:
        source = file.read_text(encoding="utf-8") if file.is_file() else facts.get("chat_template")
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"cannot read {file}: {error}", "fetch the model again") from error
    if not isinstance(source, str):
        raise ModelDamagedError(
            f"the model in {path} has no chat template", "choose a model made for conversation"
        )
    return source


def _compile_template(source: str) -> Template:
    from jinja2 import TemplateError  # noqa: PLC0415 - loaded when needed
    from jinja2.ext import loopcontrols  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    def strftime_now(form: str) -> str:
        return datetime.now().astimezone().strftime(form)

    # The same surroundings that transformers gives a chat template, sandboxed: it is data.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise ModelDamagedError(
            f"the model's chat template is broken: {error}", "fetch the model again"
        ) from error


def _end_ids(path: Path, tokenizer: Tokenizer, special_tokens: dict[str, str]) -> frozenset[int]:
    """Every id that ends a message, from both configurations and the tokenizer."""
    ids: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        if (path / name).is_file():
            listed = read_json(path / name).get("eos_token_id")
            ids.update(listed if isinstance(listed, list) else [] if listed is None else [listed])
    special = {t.content: i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
    names = (*_END_MARKERS, special_tokens.get("eos_token", ""))
    ids.update(special[name] for name in names if name in special)
    return frozenset(ids)
