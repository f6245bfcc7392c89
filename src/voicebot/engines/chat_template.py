"""A model's chat template: a small program that comes with the weights and is not trusted.

It runs in Jinja's sandbox, in the surroundings that transformers gives it, and may not run on: its
loops are counted, powers are refused, and what it makes and writes has a longest length.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from voicebot.engines.bounded_text import (
    MOST_CHARACTERS,
    check_length,
    check_method,
    check_operator,
)
from voicebot.engines.protocols import Message
from voicebot.engines.thoughts import close_open_thought
from voicebot.errors import EngineError, ModelDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jinja2.parser import Parser
    from jinja2.runtime import Context

__all__ = ["ChatTemplate"]

_MOST_STEPS = 1_000_000
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
        if len(rendered) > MOST_CHARACTERS:
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
    intercepted_binops = frozenset({"**", "*", "+", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise jinja2.TemplateError("it computes powers")
        check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        # The sandbox puts its own function around ``str.format``.
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
        if isinstance(owner, str):
            given = (*args, *kwargs.values())
            check_method(str(getattr(obj, "__name__", "")), owner, given)
        return super().call(context, obj, *args, **kwargs)


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
    for name in ("center", "format", "indent", "join", "replace"):
        environment.filters[name] = _bounded(name, environment.filters[name])
    environment.filters["bounded"] = _check_text
    tree = environment.parse(source)
    for joined in tree.find_all(nodes.Concat):
        checked: list[nodes.Expr] = []
        for node in joined.nodes:
            part = nodes.Filter(node, "bounded", [], [], None, None, lineno=joined.lineno)
            part.set_environment(environment)
            checked.append(part)
        joined.nodes = checked
    for loop in tree.find_all(nodes.For):
        counted = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        loop.iter = counted.set_environment(environment)
    return environment.from_string(tree)


def _check_text(value: object) -> object:
    """What the ``~`` of a template joins: text that grows by itself stays bounded."""
    if isinstance(value, str):
        check_length(len(value))
    return value


def _bounded(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja's that looks first how long its result would be."""

    # Jinja tells by a mark on the function whether a filter is given its surroundings, too.
    @functools.wraps(plain)
    def checked(*arguments: Any, **options: Any) -> Any:
        own = arguments[1:] if hasattr(plain, "jinja_pass_arg") else arguments
        value, *rest = own
        rest = [*rest, *options.values()]
        if name == "join":
            value = list(value)
            check_method(name, str(rest[0]) if rest else "", [value])
            own = (value, *own[1:])
            arguments = (*arguments[: len(arguments) - len(own)], *own)
        else:
            check_method(name, str(value), rest)
        return plain(*arguments, **options)

    return checked


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
