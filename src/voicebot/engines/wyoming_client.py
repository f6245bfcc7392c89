"""The client's side of a connection to a Wyoming server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wyoming.event import async_write_event
from wyoming.info import Describe, Info

from voicebot.engines.server_url import why_not_connected
from voicebot.engines.wyoming_wire import LONGEST_LINE_BYTES, WyomingFormatError, read_event
from voicebot.errors import EngineError, EngineStuckError, VoicebotError

if TYPE_CHECKING:
    from wyoming.event import Event, Eventable

    from voicebot.engines.server_url import HostAndPort

__all__ = ["WyomingConnection", "WyomingServer", "describe"]

_MAX_UNSENT_BYTES = 1024 * 1024
"""Half a minute of audio: a server that has not taken that is stuck."""

_LONGEST_QUOTE = 200


@dataclass(frozen=True, slots=True)
class WyomingServer:
    """Where a server is and how it is waited for.

    Attributes:
        address: host and port.
        setting: the setting that names its address, for error lines.
        connect_timeout_s: how long a connection may take.
        answer_timeout_s: how long it may give no sign of life.
    """

    address: HostAndPort
    setting: str
    connect_timeout_s: float
    answer_timeout_s: float

    async def connect(self, name: str) -> WyomingConnection:
        """A new connection; ``name`` is what the server is called in error lines.

        Raises:
            EngineError: nobody answers there.
        """
        return await WyomingConnection.open(
            self.address,
            server=f"{name} {self.address}",
            setting=self.setting,
            connect_timeout_s=self.connect_timeout_s,
            answer_timeout_s=self.answer_timeout_s,
        )


async def describe(connection: WyomingConnection, name: str) -> Info:
    """What the server offers.

    Raises:
        EngineError: it does not say so.
    """
    await connection.write(Describe())
    while True:
        event = await connection.read()
        if Info.is_type(event.type):
            try:
                return Info.from_event(event)
            except Exception as error:
                # The package reads the table without checking it: any exception may come.
                raise EngineError(
                    f"{name} describes itself in a way that is not understood "
                    f"({type(error).__name__}: {error})",
                    "see that the address is the right one",
                ) from error


class WyomingConnection:
    """A client's connection to a server.

    Args:
        reader: of the socket.
        writer: of the socket.
        server: what the server is called in error lines.
        answer_timeout_s: how long it may give no sign of life.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        server: str,
        answer_timeout_s: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._server = server
        self._answer_timeout_s = answer_timeout_s

    @classmethod
    async def open(
        cls,
        address: HostAndPort,
        *,
        server: str,
        setting: str,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> WyomingConnection:
        """Connect.

        Args:
            address: where.
            server: what the server is called in error lines.
            setting: the setting that names its address.
            connect_timeout_s: how long that may take.
            answer_timeout_s: see the class.

        Raises:
            EngineError: nobody answers there.
        """
        try:
            async with asyncio.timeout(connect_timeout_s):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, limit=LONGEST_LINE_BYTES
                )
        except (OSError, TimeoutError) as error:
            why = f"no connection within {connect_timeout_s:g} s"
            if not isinstance(error, TimeoutError):
                why = why_not_connected(error)
            raise EngineError(
                f"{server} cannot be reached ({why})", f"start it, or correct {setting}"
            ) from None
        writer.transport.set_write_buffer_limits(high=_MAX_UNSENT_BYTES)
        return cls(reader, writer, server=server, answer_timeout_s=answer_timeout_s)

    @property
    def is_open(self) -> bool:
        """Whether neither side is known to have closed it."""
        is_over = self._reader.at_eof() or self._reader.exception() is not None
        return not (self._writer.is_closing() or is_over)

    async def write(self, event: Eventable) -> None:
        """Send an event; waits only while the server takes nothing.

        Raises:
            EngineError: the connection is closed.
            EngineStuckError: the server takes nothing.
        """
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await async_write_event(event.event(), self._writer)
        except TimeoutError:
            raise self.stuck() from None
        except OSError:
            raise self._closed() from None

    async def write_soon(self, event: Eventable) -> None:
        """Send an event without waiting for the server to take it.

        Raises:
            EngineError: the connection is closed.
            EngineStuckError: the server has taken nothing for long.
        """
        if self._writer.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES // 2:
            raise self.stuck()
        await self.write(event)

    async def read(self, *, waits_long: bool = False) -> Event:
        """The next event.

        Args:
            waits_long: nothing is expected yet, so there is no time limit.

        Raises:
            EngineError: the server closed the connection, tells of an error or sends nonsense.
            EngineStuckError: nothing came in time.
        """
        try:
            async with asyncio.timeout(None if waits_long else self._answer_timeout_s):
                event = await read_event(self._reader)
        except TimeoutError:
            raise self.stuck() from None
        except OSError:
            raise self._closed() from None
        except WyomingFormatError as error:
            raise EngineError(
                f"{self._server} does not speak Wyoming ({error.problem})",
                "see that the address is the right one",
            ) from None
        if event is None:
            raise self._closed()
        if event.type == "error":
            said = " ".join(str(event.data.get("text")).split())[:_LONGEST_QUOTE]
            raise EngineError(f"{self._server} failed ({said})", "see the server's own log")
        return event

    async def close(self) -> None:
        """Let go of it at once."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def stuck(self) -> VoicebotError:
        """The error for a server that is not heard of."""
        return EngineStuckError(
            f"{self._server} gave no sign of life for {self._answer_timeout_s:g} s",
            "see what it is doing, or raise servers.answer_timeout_s",
        )

    def _closed(self) -> VoicebotError:
        return EngineError(
            f"{self._server} closed the connection in the middle", "see the server's own log"
        )
