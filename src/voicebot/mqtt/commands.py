"""What a kiosk can be told to do: commands from bytes, checked against their schemas (pure)."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "COMMANDS",
    "COMMAND_BYTES_MAX",
    "Ask",
    "Command",
    "CommandDroppedError",
    "CommandRefusedError",
    "Mute",
    "Profile",
    "Reset",
    "Restart",
    "Say",
    "Volume",
    "command_schemas",
    "command_table",
    "parse_command",
]

COMMAND_BYTES_MAX = 4096
"""A larger payload is dropped unread."""

_TEXT_MAX = 500
_ID_MAX = 64


class CommandDroppedError(Exception):
    """The message is no command at all; it is counted and not answered.

    Args:
        kind: ``huge`` or ``malformed``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class CommandRefusedError(Exception):
    """The command breaks its schema.

    Args:
        command_id: what its sender calls it; None if it has no usable id.
        problem: one line for its sender.
    """

    def __init__(self, command_id: str | None, problem: str) -> None:
        super().__init__(problem)
        self.command_id = command_id
        self.problem = problem


def _without_control_characters(text: str) -> str:
    # A command is spoken, shown and logged: it shall not steer a terminal or break a line.
    if any(not character.isprintable() for character in text):
        raise ValueError("has control characters")
    if not text.strip():
        raise ValueError("is empty")
    return text


_Line = Annotated[str, AfterValidator(_without_control_characters)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    name: ClassVar[str]
    id: _Line | None = Field(
        default=None, max_length=_ID_MAX, description="Comes back in the reply."
    )


class Say(_Command):
    """Speak a text, as it stands."""

    name: ClassVar[str] = "say"
    text: _Line = Field(max_length=_TEXT_MAX, description="What to say.")


class Ask(_Command):
    """Answer a text as if a visitor had said it; the reply holds the answer."""

    name: ClassVar[str] = "ask"
    text: _Line = Field(max_length=_TEXT_MAX, description="The question.")


class Mute(_Command):
    """Listen to nobody, or listen again."""

    name: ClassVar[str] = "mute"
    muted: bool = Field(description="Whether the microphone is shut off.")


class Volume(_Command):
    """How loud it speaks."""

    name: ClassVar[str] = "volume"
    percent: int = Field(ge=0, le=100, description="0 is silent.")


class Reset(_Command):
    """End the conversation and forget it."""

    name: ClassVar[str] = "reset"


class Profile(_Command):
    """Choose other engines and models, from the next start of the conversation on."""

    name: ClassVar[str] = "profile"
    profile: str = Field(
        pattern="^[a-z0-9_-]{1,32}$", description="auto, embedded, cpu, gpu or remote."
    )


class Restart(_Command):
    """Load everything anew."""

    name: ClassVar[str] = "restart"


Command: TypeAlias = Say | Ask | Mute | Volume | Reset | Profile | Restart

COMMANDS: dict[str, type[Command]] = {
    kind.name: kind for kind in (Say, Ask, Mute, Volume, Reset, Profile, Restart)
}
"""Every command by the last part of its topic."""


def parse_command(name: str, payload: bytes) -> Command:
    """The command that a message holds.

    Args:
        name: the last part of its topic.
        payload: a JSON object in UTF-8; empty stands for ``{}``.

    Raises:
        CommandDroppedError: too large, or no JSON object.
        CommandRefusedError: not a command, or one that breaks its schema.
    """
    if len(payload) > COMMAND_BYTES_MAX:
        raise CommandDroppedError("huge")
    try:
        fields = json.loads(payload.decode("utf-8") or "{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CommandDroppedError("malformed") from error
    if not isinstance(fields, dict):
        raise CommandDroppedError("malformed")
    command_id = _usable_id(fields.get("id"))
    kind = COMMANDS.get(name)
    if kind is None:
        raise CommandRefusedError(
            command_id, f"no such command; there are {', '.join(sorted(COMMANDS))}"
        )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise CommandRefusedError(command_id, _first_problem(error)) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _usable_id(value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= _ID_MAX and value.isprintable():
        return value
    return None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80] or "the command"
    printable = "".join(one if one.isprintable() else "?" for one in where)
    return f"{printable}: {first['msg'].removeprefix('Value error, ')}"


def command_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every command, by its name."""
    return {name: kind.model_json_schema() for name, kind in COMMANDS.items()}


def command_table() -> str:
    """Markdown: a row for every command."""
    rows = ["| Command | Fields | What it does |", "|---|---|---|"]
    for name, kind in COMMANDS.items():
        fields = [
            f"`{field}`: {_kind_of(schema)}"
            for field, schema in kind.model_json_schema()["properties"].items()
            if field != "id"
        ]
        rows.append(f"| `{name}` | {', '.join(fields) or '—'} | {kind.__doc__} |")
    return "\n".join(rows)


def _kind_of(schema: dict[str, Any]) -> str:
    words = str(schema["type"])
    if "maximum" in schema:
        words += f" from {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        words += f" of at most {schema['maxLength']} characters"
    return words
