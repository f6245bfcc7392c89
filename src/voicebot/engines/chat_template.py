"""A model's chat template: a small program that comes with the weights and is not trusted.

It runs in Jinja's sandbox, in the surroundings that transformers gives it, and may not run on: its
loops are counted, powers are refused, and what it writes has a longest length.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from voicebot.engines.protocols import Message
from voicebot.engines.thoughts import close_open_thought
from voicebot.errors import EngineError, ModelDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jinja2.parser import Parser

__all__ = ["ChatTemplate"]

_MOST_STEPS = 1_000_000
_MOST_CHARACTERS = 4_000_000
_QUIET: Mapping[str, bool] = {"enable_thinking": False, "thinking": False}
"""How the templates of models that can think, and can leave it, are told to leave it."""

_WAY_OUT = "use a model whose template takes system, user and assistant messages"


class ChatTemplate:
    """Renders conversations.

    Some templates take no system message, or no two messages of one role in a row. Once one has
    refused a conversation for such a reason, the system message is put in front of the user's first
    words from then on, and neighbours are joined.

    Args:
        source: the template.
        special_tokens: what it may refer to, such as ``bos_token``.

    Raises:
        ModelDamagedError: it is not a template.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self._special_tokens = special_tokens
        self._steps = _StepCounter()
        self._joins = False
        try:
            self._template = _compiled(source, self._steps)
        except (jinja2.TemplateError, RecursionError) as error:
            raise ModelDamagedError(
                f"the model's chat template is broken: {error}", "fetch the model again"
            ) from error

    def render(self, messages: Sequence[Message], *, asks_for_reply: bool = True) -> str:
        """The text of a conversation; a thought that the template begins for the model is ended.

        Args:
            messages: the conversation.
            asks_for_reply: end with the beginning of the model's message.

        Raises:
            EngineError: the template refuses the conversation, fails or does not come to an end.
        """
        if self._joins:
            return self._render(_joined(messages), asks_for_reply)
        try:
            return self._render(messages, asks_for_reply)
        except EngineError:
            joined = _joined(messages)
            if joined == list(messages):
                raise
            rendered = self._render(joined, asks_for_reply)
            self._joins = True
            return rendered

    def _render(self, messages: Sequence[Message], asks_for_reply: bool) -> str:
        conversation = [{"role": m.role, "content": m.content} for m in messages]
        self._steps.left = _MOST_STEPS
        try:
            rendered = self._template.render(
                messages=conversation,
                add_generation_prompt=asks_for_reply,
                **_QUIET,
                **self._special_tokens,
            )
        # Whatever a program may raise: its own errors, or those of what it was given.
        except Exception as error:
            raise EngineError(
                f"the model's chat template refuses the conversation: {error}", _WAY_OUT
            ) from error
        if len(rendered) > _MOST_CHARACTERS:
            raise EngineError("the model's chat template writes without end", _WAY_OUT)
        return close_open_thought(rendered) if asks_for_reply else rendered


class _StepCounter:
    """Counts the steps of a template's loops."""

    def __init__(self) -> None:
        self.left = _MOST_STEPS

    def __call__(self, items: Iterable[object]) -> Iterator[object]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                raise jinja2.TemplateError("it does not come to an end")
            yield item


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"**"})

    def call_binop(self, *_: Any) -> NoReturn:
        raise jinja2.TemplateError("it computes powers")


class _GenerationTag(Extension):
    """``{% generation %}`` marks the model's own words, for training: they stay as they are."""

    tags = frozenset({"generation"})  # type: ignore[assignment]  # annotated as a set

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.expect("name:generation")
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compiled(source: str, steps: _StepCounter) -> jinja2.Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationTag]
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.filters["tojson"] = _to_json
    environment.filters["counted"] = steps
    tree = environment.parse(source)
    for loop in tree.find_all(nodes.For):
        counted = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        loop.iter = counted.set_environment(environment)
    return environment.from_string(tree)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _to_json(value: object, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _joined(messages: Sequence[Message]) -> list[Message]:
    """Without a system message and without two neighbours of one role; the user begins."""
    joined: list[Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if joined and joined[-1].role == role:
            joined[-1] = Message(role, f"{joined[-1].content}\n\n{message.content}")
        else:
            joined.append(Message(role, message.content))
    return joined
