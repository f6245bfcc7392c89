"""A chat server in a process of its own that speaks the OpenAI protocol and follows a script.

The model's name says how a request goes ("hang_mid", "status_500", …). Prints its port, then
serves until it is ended. ``GET /log`` tells what happened, as JSON lines. Usage: PORT [MODEL …].
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import Any

REPLY = ["The ", "capital ", "of ", "France ", "is ", "Paris."]
THOUGHTS = (
    {"reasoning_content": "Let me "},
    {"reasoning_content": "see. "},
    {"content": "<thi"},
    {"content": "nk>hmm"},
    {"content": " no</think>\n\n"},
)
FOREVER_S = 3600.0


@dataclass(frozen=True)
class HttpRequest:
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    connection: int


class Server:
    def __init__(self, models: list[str]) -> None:
        self.models = models
        self.log: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while (line := await reader.readline()).strip():
                _, path, _ = line.decode().split(" ", 2)
                headers: dict[str, str] = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = HttpRequest(path, headers, body, reader, connection)
                await self.answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, _HungUpError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        if request.path == "/log":
            plain(writer, 200, "\n".join(json.dumps(entry) for entry in self.log))
            return
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        entry = {"path": request.path, "connection": request.connection, "key": key}
        self.log.append(entry)
        if request.path == "/v1/models":
            await self.list_models(key, writer)
            return
        body = json.loads(request.body)
        model = body["model"]
        entry |= {"request": body, "aborted": False}
        self.counts[model] = self.counts.get(model, 0) + 1
        watching = asyncio.create_task(hung_up(request.reader))
        replying = asyncio.create_task(self.reply(model, body, writer))
        await asyncio.wait({watching, replying}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            entry["aborted"] = True
            replying.cancel()
            raise _HungUpError
        watching.cancel()
        await asyncio.wait({watching})
        replying.result()

    async def list_models(self, key: str, writer: asyncio.StreamWriter) -> None:
        kind = self.models[0]
        if kind == "hang_list":
            await asyncio.sleep(FOREVER_S)
        elif kind == "no_list":
            plain(writer, 404, '{"detail":"Not Found"}')
        elif kind == "no_json":
            plain(writer, 200, "<html>welcome</html>")
        elif kind == "needs_key" and key != "right":
            error(writer, 401, f"Incorrect API key provided: {key}")
        else:
            data = [{"id": name, "object": "model"} for name in self.models]
            plain(writer, 200, json.dumps({"object": "list", "data": data}))

    async def reply(self, model: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if model == "hang":
            await asyncio.sleep(FOREVER_S)
        if model == "reset_once" and self.counts[model] == 1:
            writer.transport.abort()
            raise _HungUpError
        if not refused(model, body, self.counts[model], writer):
            if body.get("stream"):
                begin(writer)
                await self.stream(model, body, writer)
            else:
                plain(writer, 200, json.dumps(one_token(model)))

    async def stream(
        self, model: str, request: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        event(writer, {"role": "assistant", "content": ""})
        if model == "closes_before_token" and self.counts[model] == 1:
            writer.transport.abort()
            raise _HungUpError
        while model == "huge_line":
            chunk(writer, b"data: " + b"x" * 1_000_000)
            await writer.drain()
        for delta in THOUGHTS if model == "thinks" else ():
            event(writer, delta)
        for index, piece in enumerate(REPLY):
            if model in ("slow", "small"):
                await asyncio.sleep(0.05)
            event(writer, {"content": piece})
            await writer.drain()
            if index == 2:
                await self.trouble(model, writer)
        event(writer, {}, finish_reason="stop")
        if "stream_options" in request:
            usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
            chunk(writer, sse({**COMPLETION, "choices": [], "usage": usage}))
        chunk(writer, b"data: [DONE]\n\n")
        chunk(writer, b"")
        await writer.drain()

    @staticmethod
    async def trouble(model: str, writer: asyncio.StreamWriter) -> None:
        match model:
            case "hang_mid":
                await asyncio.sleep(FOREVER_S)
            case "malformed":
                chunk(writer, b'data: {"choices": [{"delta": {"con\n\n')
            case "malformed_shape":
                chunk(writer, b'data: {"choices": [{"delta": {"content": 17}}]}\n\n')
            case "error_mid":
                chunk(writer, b'data: {"error": {"message": "out of memory"}}\n\n')
            case "abort_mid":
                writer.transport.abort()
                raise _HungUpError
            case "ends_early":
                chunk(writer, b"")
                await writer.drain()
                raise _HungUpError


def refused(model: str, body: dict[str, Any], count: int, writer: asyncio.StreamWriter) -> bool:
    """Refuse the request if the model's name says so; whether it did."""
    if model.startswith("status_"):
        error(writer, int(model[7:]), "told to fail; key was none of your business")
    elif (model == "busy_once" and count == 1) or model == "busy_long":
        wait_s = "0.3" if model == "busy_once" else "3600"
        error(writer, 429, "slow down", {"Retry-After": wait_s})
    elif model == "broken_once" and count == 1:
        error(writer, 500, "once")
    elif model == "no_json_error":
        plain(writer, 500, "<html>Internal Server Error</html>")
    elif model == "no_temperature" and "temperature" in body:
        error(writer, 400, "Unsupported value: 'temperature' does not support 0 with this model")
    elif model == "no_stream_options" and "stream_options" in body:
        error(writer, 400, "stream_options is not supported")
    elif model == "unknown":
        error(writer, 404, "The model does not exist")
    else:
        return False
    return True


def one_token(model: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
    message = {"role": "assistant", "content": "The"}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "length", "message": message}],
        "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 15}},
    }


class _HungUpError(Exception):
    pass


COMPLETION = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}


async def hung_up(reader: asyncio.StreamReader) -> None:
    """Ends when the client closes; no client of these tests sends a request ahead."""
    while not reader.at_eof():
        if reader._buffer:  # type: ignore[attr-defined]
            return
        await asyncio.sleep(0.005)


def plain(
    writer: asyncio.StreamWriter, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    body = text.encode()
    lines = [f"HTTP/1.1 {status} Scripted", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def error(
    writer: asyncio.StreamWriter, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    plain(writer, status, json.dumps({"error": {"message": text}}), headers)


def begin(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def sse(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def event(
    writer: asyncio.StreamWriter, delta: dict[str, Any], finish_reason: str | None = None
) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk(writer, sse({**COMPLETION, "choices": [choice]}))


async def main() -> None:
    server = Server(sys.argv[2:] or ["small"])
    listening = await asyncio.start_server(server.serve, "127.0.0.1", int(sys.argv[1]))
    print(listening.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
