"""The service's ports: who connects, who is turned away."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from wyoming.error import Error
from wyoming.event import async_write_event

from voicebot.engines.server_url import HostAndPort
from voicebot.engines.wyoming_wire import LONGEST_LINE_BYTES
from voicebot.errors import ConfigError
from voicebot.wyoming_service.client_connection import ClientConnection, Patience, Services

if TYPE_CHECKING:
    from voicebot.wyoming_service.access import AccessRules

__all__ = ["Listener"]

_MOST_CLIENTS = 32

_log = logging.getLogger(__name__)


class Listener:
    """One port.

    Args:
        services: what it offers.
        access: who may connect.
        patience: how long clients are waited for.
        most_clients: how many at once.
    """

    def __init__(
        self,
        services: Services,
        access: AccessRules,
        *,
        patience: Patience | None = None,
        most_clients: int = _MOST_CLIENTS,
    ) -> None:
        self._services = services
        self._access = access
        self._patience = patience or Patience()
        self._most_clients = most_clients
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, address: HostAndPort) -> HostAndPort:
        """Begin to listen; port 0 takes a free one.

        Returns:
            Where it listens.

        Raises:
            ConfigError: that is not possible there.
        """
        try:
            self._server = await asyncio.start_server(
                self._take, address.host, address.port, limit=LONGEST_LINE_BYTES
            )
        except (OSError, OverflowError, UnicodeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise ConfigError(
                f"{address} cannot be listened at ({why})", "choose another --host or --port"
            ) from None
        return HostAndPort(address.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Let go of the port and of all clients."""
        if self._server is not None:
            self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the service closes
        except Exception:  # noqa: BLE001  # a bug costs a client, not the service
            _log.exception("a client's request failed")
        finally:
            if task is not None:
                self._clients.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if not self._access.admits(address):
            _log.warning("a client at %s was turned away: --allow does not name it", address)
            return
        if len(self._clients) > self._most_clients:
            with suppress(OSError):
                busy = Error(text="too many clients at once", code="busy")
                await async_write_event(busy.event(), writer)
            return
        await ClientConnection(reader, writer, self._services, self._patience).run()
