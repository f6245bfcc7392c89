"""Events of the Wyoming protocol from a socket, and nothing that could fill memory.

An event is a line of JSON, maybe followed by more JSON and by bytes, as its line says
(https://github.com/OHF-Voice/wyoming). What the events mean, and how they are written, comes from
the ``wyoming`` package. Its own reader takes any length that the other side announces, and gives
the same None for nonsense and for the end; so reading is done here.
"""

from __future__ import annotations

import asyncio
import json

from wyoming.event import Event

from voicebot.errors import EngineError

__all__ = ["LONGEST_LINE_BYTES", "WyomingFormatError", "read_event"]

LONGEST_LINE_BYTES = 1024 * 1024
"""Of an event's line; the limit of the stream reader it is read from."""

_LARGEST_DATA_BYTES = 4 * 1024 * 1024
_LARGEST_PAYLOAD_BYTES = 4 * 1024 * 1024


class WyomingFormatError(EngineError):
    """The other side sent what is no Wyoming event."""


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None if the connection ended between two events.

    Raises:
        WyomingFormatError: what came is no event, or too large to be one.
        ConnectionError: the connection ended in the middle of an event.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionResetError("the connection ended in an event") from None
        return None
    except asyncio.LimitOverrunError:
        raise WyomingFormatError("an event's line is too long") from None
    head = _table(line)
    kind = head.get("type")
    if not isinstance(kind, str):
        raise WyomingFormatError("an event has no type")
    data_length = _length(head, "data_length", _LARGEST_DATA_BYTES)
    payload_length = _length(head, "payload_length", _LARGEST_PAYLOAD_BYTES)
    data = head.get("data") or {}
    if not isinstance(data, dict):
        raise WyomingFormatError("an event's data is no table")
    try:
        if data_length:
            data = {**data, **_table(await reader.readexactly(data_length))}
        payload = await reader.readexactly(payload_length) if payload_length else None
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the connection ended in an event") from None
    return Event(kind, data, payload)


def _table(text: bytes) -> dict[str, object]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise WyomingFormatError("an event is no JSON table")
    return table


def _length(head: dict[str, object], name: str, largest: int) -> int:
    length = head.get(name)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= largest:
        raise WyomingFormatError(f"an event's {name} is not from 0 to {largest}")
    return length
