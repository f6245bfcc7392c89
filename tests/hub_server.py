"""A model hub on this machine: the part of the hub's protocol that its own client uses.

It is a real HTTP server, so the real client talks to it; files, faults and what was asked are in
the test's hands.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class HubServer:
    """What the hub holds and how it behaves.

    ``cut_after_bytes``: the connection of the next download ends after so many bytes, and every
    later one is answered with 503, until it is None again.
    """

    url: str
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revision: str = "c" * 40
    gated: set[str] = field(default_factory=set)
    cut_after_bytes: int | None = None
    is_down: bool = False
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at what was asked."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("authorization"))
        if path.startswith("api/models/"):
            self._list(path.removeprefix("api/models/"))
        elif "/resolve/" in path:
            self._send_file(path, with_body=with_body)
        else:
            self._refuse(404)

    def _list(self, path: str) -> None:
        repository, _, revision = path.partition("/revision/")
        if repository in self.hub.gated:
            self._refuse(403, {"X-Error-Code": "GatedRepo"})
            return
        files = self.hub.repositories.get(repository)
        if files is None:
            self._refuse(404, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                **(
                    {
                        "lfs": {
                            "sha256": hashlib.sha256(content).hexdigest(),
                            "size": len(content),
                            "pointerSize": 130,
                        }
                    }
                    if name.endswith((".bin", ".safetensors", ".onnx", ".gguf"))
                    else {}
                ),
            }
            for name, content in files.items()
        ]
        body = json.dumps(
            {
                "id": repository,
                "sha": revision or self.hub.revision,
                "siblings": siblings,
                "cardData": {"license": "mit"},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, path: str, *, with_body: bool) -> None:
        repository, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = self.hub.repositories.get(repository, {}).get(name)
        if content is None:
            self._refuse(404, {"X-Error-Code": "EntryNotFound"})
            return
        if with_body and self.hub.is_down:
            self._refuse(503)
            return
        start = 0
        if with_body:
            wanted = self.headers.get("range")
            self.hub.ranges.append(wanted)
            if wanted:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", revision)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not with_body:
            return
        if self.hub.cut_after_bytes is not None and len(body) > self.hub.cut_after_bytes:
            self.wfile.write(body[: self.hub.cut_after_bytes])
            self.wfile.flush()
            self.hub.is_down = True
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(body)

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving_hub(repositories: dict[str, dict[str, bytes]]) -> Iterator[HubServer]:
    """A hub with ``repositories``: the content of each file by its path, by ``owner/name``."""
    handler = type("_ThisHub", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub = HubServer(f"http://127.0.0.1:{server.server_port}", repositories)
    handler.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
