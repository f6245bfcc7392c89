from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.mqtt.commands import (
    COMMAND_BYTES_MAX,
    COMMANDS,
    CommandDroppedError,
    CommandRefusedError,
    Say,
    Volume,
    command_schemas,
    parse_command,
)

VALID = {
    "say": {"text": "Hello."},
    "ask": {"text": "Who are you?"},
    "mute": {"muted": True},
    "volume": {"percent": 40},
    "reset": {},
    "profile": {"profile": "cpu"},
    "restart": {},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_understood_and_fits_its_published_schema(name: str) -> None:
    fields = {**VALID[name], "id": "one"}
    jsonschema.validate(fields, command_schemas()[name])
    command = parse_command(name, json.dumps(fields).encode())
    assert command.id == "one"
    assert type(command) is COMMANDS[name]


def test_an_empty_payload_is_a_command_without_fields() -> None:
    assert parse_command("reset", b"").name == "reset"


@pytest.mark.parametrize(
    ("name", "payload", "problem"),
    [
        ("volume", b'{"percent": 101, "id": "a"}', "percent: "),
        ("volume", b'{"percent": "40"}', "percent: "),
        ("volume", b'{"percent": true}', "percent: "),
        ("volume", b"{}", "percent: Field required"),
        ("say", b'{"text": "  "}', "text: is empty"),
        ("say", b'{"text": "a\\u001b[2J"}', "text: has control characters"),
        ("say", b'{"text": "a", "loud": 1}', "loud: "),
        ("say", json.dumps({"text": "x" * 501}).encode(), "text: "),
        ("profile", b'{"profile": "../etc"}', "profile: "),
        ("reset", b'{"id": 5}', "id: "),
        ("explode", b"{}", "no such command"),
    ],
)
def test_a_command_that_breaks_its_schema_is_refused_in_one_line(
    name: str, payload: bytes, problem: str
) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        parse_command(name, payload)
    assert refused.value.problem.startswith(problem)
    assert "\n" not in refused.value.problem


def test_the_sender_of_a_refused_command_is_told_by_its_id() -> None:
    with pytest.raises(CommandRefusedError) as refused:
        parse_command("volume", b'{"id": "v1", "percent": -1}')
    assert refused.value.command_id == "v1"


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"[]",
        b"5",
        b'"text"',
        b"{",
        b'{"percent": NaN}',
        b"[" * 4000,
        b'{"a":' * 700,
    ],
)
def test_what_is_no_json_object_is_dropped(payload: bytes) -> None:
    with pytest.raises(CommandDroppedError) as dropped:
        parse_command("volume", payload)
    assert dropped.value.kind in {"malformed", "huge"}


def test_what_is_too_large_is_dropped_unread() -> None:
    with pytest.raises(CommandDroppedError) as dropped:
        parse_command("say", b" " * (COMMAND_BYTES_MAX + 1))
    assert dropped.value.kind == "huge"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from(["id", "text", "muted", "percent", "profile"]) | st.text(max_size=5),
    ANY_JSON,
    max_size=4,
).map(lambda fields: json.dumps(fields).encode())


@given(st.sampled_from([*COMMANDS, "", "x"]) | st.text(), st.binary(max_size=200) | FIELDS)
def test_whatever_comes_is_a_command_or_one_of_two_refusals(name: str, payload: bytes) -> None:
    try:
        command = parse_command(name, payload)
    except CommandDroppedError:
        return
    except CommandRefusedError as refused:
        problem = refused.problem
    else:
        problem = "none"
        if isinstance(command, Volume):
            assert 0 <= command.percent <= 100
        if isinstance(command, Say):
            assert command.text.strip()
            assert command.text.isprintable()
    assert problem.isprintable()
