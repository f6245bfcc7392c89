"""HTTP connections that must get on: a request that does not arrive in time is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["REQUEST_TIMEOUT_S", "ImpatientH11Protocol"]

REQUEST_TIMEOUT_S = 10.0


class ImpatientH11Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for ever for the rest of a request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The clock of the first request starts with the connection."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._disarm()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: object) -> None:
        """The request is there; from here on the WebSocket's own timeouts count."""
        self._disarm()
        super().handle_websocket_upgrade(event)  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """The clock of the next request starts."""
        super().on_response_complete()
        self._disarm()
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        self.transport.abort()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
