"""The kiosk's web server: the page, its WebSocket, the technician's view.

Every answer carries a strict policy: nothing from elsewhere, no inline script, no frame. A request
that names another host, or comes from another origin, is refused before anything looks at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from voicebot.errors import ConfigError
from voicebot.kiosk.impatient_http import ImpatientH11Protocol
from voicebot.kiosk.page_files import read_page_files
from voicebot.kiosk.pages import Page
from voicebot.kiosk.protocol import (
    FRAME_SAMPLES_MAX,
    Join,
    ProtocolError,
    decode_message,
    decode_microphone_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as AsgiScope

    from voicebot.kiosk.gate import Gate
    from voicebot.kiosk.page_files import PageFile
    from voicebot.kiosk.pages import Pages
    from voicebot.kiosk.visits import Visits

__all__ = ["bind", "kiosk_app", "new_server"]

_BODY_BYTES_MAX = 4096
_WEBSOCKET_BYTES_MAX = 2 * FRAME_SAMPLES_MAX + 1024
_CONNECTIONS_MAX = 64
_PAGES_MAX = 32
_JOIN_TIMEOUT_S = 5.0
_SEND_TIMEOUT_S = 5.0
_PINGS_FIRST = 8
_PING_FIRST_S = 0.1
_PING_S = 2.0
_MESSAGES_A_SECOND = 400.0
_MESSAGES_BURST = 1200.0

_POLICY_VIOLATION = 1008
_PROTOCOL_ERROR = 1002
_TRY_LATER = 1013
_REPLACED = 4001

_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "permissions-policy": "microphone=(self), camera=(), geolocation=(), payment=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}

_log = logging.getLogger("voicebot.kiosk.server")


class _Guarded:
    """Refuses what the gate does not let through, and puts the policy on every answer."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return
        headers = _headers(scope)

        async def send_with_policy(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                names = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [
                    *message.get("headers", []),
                    *(
                        (name.encode(), value.encode())
                        for name, value in _HEADERS.items()
                        if name.encode() not in names
                    ),
                ]
            await send(message)

        if (refusal := self._refusal(scope, headers)) is None:
            await self._app(scope, receive, send_with_policy)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            status, line = refusal
            await PlainTextResponse(line + "\n", status)(scope, receive, send_with_policy)

    def _refusal(self, scope: AsgiScope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._gate.knows_host(host):
            return 421, "This server has another name: see kiosk.allowed_hosts."
        is_reading = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if not is_reading and (origin is None or not self._gate.is_own_origin(origin, host)):
            return 403, "This comes from another origin."
        is_open = scope["path"] in {"/enter", "/health"}
        if not is_open and not self._gate.may("visitor", headers.get("cookie", "")):
            return 401, "Open /enter?token=… first: docs/kiosk.md says how."
        return None


def _headers(scope: AsgiScope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        # A header that is given twice is read in different ways by different programs.
        found[key] = "" if key in found else value.decode("latin-1")
    return found


class _KioskApp:
    def __init__(
        self, visits: Visits, pages: Pages, gate: Gate, status: Callable[[], dict[str, Any]]
    ) -> None:
        self._visits = visits
        self._pages = pages
        self._gate = gate
        self._status = status
        self._files = read_page_files()

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self._index),
            Route("/assets/{name}", self._asset),
            Route("/health", self._health),
            Route("/enter", self._enter),
            Route("/technician", self._technician),
            Route("/technician/login", self._login, methods=["POST"]),
            Route("/technician/logout", self._logout, methods=["POST"]),
            Route("/api/status", self._tell_status),
            Route("/api/restart", self._restart, methods=["POST"]),
            WebSocketRoute("/talk", self._talk),
        ]
        return _Guarded(Starlette(routes=routes), self._gate)

    # The page.

    def _file(self, name: str, request: Request) -> Response:
        file: PageFile | None = self._files.get(name)
        if file is None:
            raise HTTPException(404)
        headers = {"etag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.data, media_type=file.media_type, headers=headers)

    async def _index(self, request: Request) -> Response:
        return self._file("index.html", request)

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        return self._file("" if name.endswith(".html") else name, request)

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse(f"{self._visits.state}\n")

    # Tokens.

    async def _enter(self, request: Request) -> Response:
        """Takes the token out of the address once, and leaves a cookie."""
        opens = self._gate.opens(request.query_params.get("token", ""), _client(request))
        if opens is None:
            return PlainTextResponse("Too many wrong tokens; wait a minute.\n", 429)
        if not opens:
            return PlainTextResponse("The token is wrong.\n", 401)
        return self._let_in("visitor", "/", request)

    def _let_in(self, scope: Any, path: str, request: Request) -> Response:
        response = RedirectResponse(path, 303)
        response.set_cookie(
            self._gate.cookie_name(scope),
            self._gate.new_cookie(scope),
            max_age=self._gate.cookie_life_s(scope),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    # The technician.

    def _is_technician(self, request: Request) -> bool:
        return self._gate.may("technician", request.headers.get("cookie", ""))

    async def _technician(self, request: Request) -> Response:
        return self._file(
            "technician.html" if self._is_technician(request) else "login.html", request
        )

    async def _login(self, request: Request) -> Response:
        fields = parse_qs(await _body(request), max_num_fields=8)
        opens = self._gate.opens(fields.get("token", [""])[0], _client(request))
        if not opens:
            _log.warning("a wrong token was given for the technician's view")
            reason = "wait" if opens is None else ("wrong" if self._gate.has_token else "none")
            return RedirectResponse(f"/technician?refused={reason}", 303)
        return self._let_in("technician", "/technician", request)

    async def _logout(self, _request: Request) -> Response:
        response = RedirectResponse("/technician", 303)
        response.delete_cookie(self._gate.cookie_name("technician"))
        return response

    async def _tell_status(self, request: Request) -> Response:
        if not self._is_technician(request):
            raise HTTPException(401)
        return JSONResponse(self._status())

    async def _restart(self, request: Request) -> Response:
        if not self._is_technician(request):
            raise HTTPException(401)
        self._visits.restart()
        return Response(status_code=204)

    # The conversation.

    async def _talk(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self._pages.count >= _PAGES_MAX:
            await websocket.close(_TRY_LATER, "too many pages are open")
            return
        page = Page(self._visits.playback_rate_hz)
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._read(websocket, page),
                _write(websocket, page),
                _ping(page),
                page.is_too_slow.wait(),
                page.is_unwanted.wait(),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self._visits.leave(page)
        await self._part(websocket, page, results)

    async def _part(self, websocket: WebSocket, page: Page, results: list[Any]) -> None:
        """End the connection, and say why."""
        code, why = 1000, ""
        errors = [one for one in results if isinstance(one, Exception)]
        if page.is_unwanted.is_set():
            code, why = _REPLACED, "this conversation goes on in another window"
        elif page.is_too_slow.is_set():
            code, why = _POLICY_VIOLATION, "too slow"
        for error in errors:
            if isinstance(error, ProtocolError):
                code, why = _PROTOCOL_ERROR, str(error)
            elif isinstance(error, TimeoutError):
                code, why = _POLICY_VIOLATION, "too slow"
            elif not isinstance(error, WebSocketDisconnect | RuntimeError | OSError):
                _log.error("a page's connection failed", exc_info=error)
                code = 1011
        if why:
            self._pages.dropped += 1
            _log.warning("a page was dropped: %s", why)
        with contextlib.suppress(Exception):  # it may be gone already
            async with asyncio.timeout(1.0):
                await websocket.close(code, why[:100])

    async def _read(self, websocket: WebSocket, page: Page) -> None:
        async with asyncio.timeout(_JOIN_TIMEOUT_S):
            first = await _receive(websocket)
        if isinstance(first, bytes) or not isinstance(join := decode_message(first), Join):
            raise ProtocolError("the first message is no join")
        self._visits.join(page, join)
        page.joined.set()
        loop = asyncio.get_running_loop()
        allowance, asked_s = _MESSAGES_BURST, loop.time()
        while True:
            data = await _receive(websocket)
            now_s = loop.time()
            allowance = min(_MESSAGES_BURST, allowance + (now_s - asked_s) * _MESSAGES_A_SECOND) - 1
            asked_s = now_s
            if allowance < 0:
                raise ProtocolError("too many messages")
            if isinstance(data, bytes):
                self._visits.take_audio(page, decode_microphone_frame(data))
            else:
                self._visits.take(page, decode_message(data))


async def _receive(websocket: WebSocket) -> str | bytes:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    data = message.get("bytes")
    return data if data is not None else str(message["text"])


async def _write(websocket: WebSocket, page: Page) -> None:
    while True:
        data = await page.outbox.get()
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            if isinstance(data, bytes):
                await websocket.send_bytes(data)
            else:
                await websocket.send_text(data)


async def _ping(page: Page) -> None:
    await page.joined.wait()
    sent = 0
    while True:
        page.ping()
        sent += 1
        await asyncio.sleep(_PING_FIRST_S if sent < _PINGS_FIRST else _PING_S)


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def _body(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_BYTES_MAX:
            raise HTTPException(413)
    return body.decode("utf-8", "replace")


def kiosk_app(
    visits: Visits, pages: Pages, gate: Gate, status: Callable[[], dict[str, Any]]
) -> ASGIApp:
    """The kiosk as an ASGI application.

    Args:
        visits: the conversations.
        pages: the open pages.
        gate: who may ask for what.
        status: what the technician is told, as JSON's types.
    """
    return _KioskApp(visits, pages, gate, status).app()


def bind(host: str, port: int) -> socket.socket:
    """A listening address.

    Raises:
        ConfigError: it is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"the kiosk cannot be served at {host}:{port} ({error.strerror or error})",
            "set kiosk.host and kiosk.port to an address of this machine that is free",
        ) from error
    return bound


def new_server(app: ASGIApp) -> uvicorn.Server:
    """A server with limits for all that a client may do; ``serve(sockets=[…])`` runs it."""
    config = uvicorn.Config(
        app,
        http=ImpatientH11Protocol,
        ws="websockets-sansio",
        ws_max_size=_WEBSOCKET_BYTES_MAX,
        ws_ping_interval=10.0,
        ws_ping_timeout=10.0,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,  # an address may hold the token
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
    )
    return uvicorn.Server(config)
