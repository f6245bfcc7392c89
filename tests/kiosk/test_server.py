"""The server under attack: what must not get in, and that it lives on whatever comes."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import struct
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kiosk_server import TOKEN, KioskServer, kiosk_server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from voicebot.kiosk import impatient_http, server
from voicebot.kiosk.protocol import MicrophoneFrame, encode_microphone_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

JOIN = json.dumps({"type": "join", "version": 1})
BEGIN = json.dumps({"type": "begin", "rate_hz": 16000})


@pytest.fixture(scope="module")
def kiosk() -> Iterator[KioskServer]:
    with kiosk_server() as running:
        yield running
        assert_alive(running)


def ask(
    kiosk: KioskServer, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", kiosk.port, timeout=10)
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    if method == "POST":
        own.setdefault("Origin", kiosk.url)
    connection.putrequest(method, path, skip_host="Host" in own, skip_accept_encoding=True)
    for name, value in {**own, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    response = connection.getresponse()
    answer = (
        response.status,
        dict(response.getheaders()),
        response.read().decode("utf-8", "replace"),
    )
    connection.close()
    return answer


def assert_alive(kiosk: KioskServer) -> None:
    status, _, text = ask(kiosk, "GET", "/health")
    assert (status, text.strip()) in {(200, "inviting"), (200, "listening")}
    with talk(kiosk) as socket_:
        socket_.send(JOIN)
        assert json.loads(socket_.recv(timeout=5))["type"] == "hello"


def talk(kiosk: KioskServer, origin: str | None = None, **more: Any) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{kiosk.port}/talk",
        origin=kiosk.url if origin is None else origin,  # type: ignore[arg-type]
        proxy=None,
        open_timeout=10,
        **more,
    )


def ends_with(socket_: ClientConnection) -> int | None:
    """How the server ends the connection."""
    with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012  # whichever comes last
        while True:
            socket_.recv(timeout=10)
    return closed.value.rcvd.code if closed.value.rcvd is not None else None


# Hosts, origins, paths.


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "localhost."])
def test_another_host_is_refused(kiosk: KioskServer, host: str) -> None:
    assert ask(kiosk, "GET", "/", Host=host)[0] in {400, 421}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1", "file://", "http://[::1"]
)
def test_another_origin_neither_talks_nor_posts(kiosk: KioskServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, talk(kiosk, origin):
        pass
    assert refused.value.response.status_code == 403
    assert ask(kiosk, "POST", "/api/restart", Origin=origin)[0] == 403


def test_a_request_without_origin_neither_talks_nor_posts(kiosk: KioskServer) -> None:
    with (
        pytest.raises(InvalidStatus),
        connect(f"ws://127.0.0.1:{kiosk.port}/talk", proxy=None),
    ):
        pass


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../protocol.py",
        "/assets/..%2fprotocol.py",
        "/assets/%2e%2e/%2e%2e/config.py",
        "/assets/....//gate.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/../../etc/passwd",
        "/assets/index.html%00.js",
        "/assets/technician.html",
        "/assets/",
        "/page/main.js",
        "/assets/..\\gate.py",
    ],
)
def test_only_the_page_s_own_files_exist(kiosk: KioskServer, path: str) -> None:
    status, _, text = ask(kiosk, "GET", path)
    assert status in {400, 404}
    assert "import" not in text
    assert "root:" not in text


def test_the_page_is_served_under_a_strict_policy(kiosk: KioskServer) -> None:
    for path, kind in (("/", "text/html"), ("/assets/main.js", "javascript")):
        status, headers, text = ask(kiosk, "GET", path)
        assert status == 200
        assert kind in headers["content-type"]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "https://" not in text
        again = ask(kiosk, "GET", path, If_None_Match=headers["etag"])
        assert again[0] == 304


# Tokens.


def test_the_technicians_view_needs_the_token() -> None:
    with kiosk_server() as kiosk:
        assert ask(kiosk, "GET", "/api/status")[0] == 401
        assert ask(kiosk, "POST", "/api/restart")[0] == 401
        assert "Token" in ask(kiosk, "GET", "/technician")[2]
        status, headers, _ = ask(kiosk, "POST", "/technician/login", "token=wrong")
        assert (status, headers["location"]) == (303, "/technician?refused=wrong")
        status, headers, _ = ask(kiosk, "POST", "/technician/login", f"token={TOKEN}")
        cookie = headers["set-cookie"].split(";")[0]
        assert status == 303
        assert "HttpOnly" in headers["set-cookie"]
        assert "samesite=strict" in headers["set-cookie"].lower()
        assert TOKEN not in cookie
        status, _, text = ask(kiosk, "GET", "/api/status", Cookie=cookie)
        assert (status, json.loads(text)) == (200, {"state": "inviting"})
        assert ask(kiosk, "POST", "/api/restart", Cookie=cookie)[0] == 204
        assert ask(kiosk, "POST", "/api/restart", Cookie=cookie, Origin="http://evil")[0] == 403
        for forged in (
            cookie[:-1],
            cookie.replace("technician", "visitor"),
            "voicebot_technician=9",
            "voicebot_technician=99999999999.",
            "voicebot_technician=\xff",
            "=;=" * 500,
        ):
            assert ask(kiosk, "GET", "/api/status", Cookie=forged)[0] == 401


def test_guessing_is_slowed_down_even_for_the_right_token() -> None:
    with kiosk_server() as kiosk:
        for _ in range(5):
            ask(kiosk, "POST", "/technician/login", "token=guess")
        _, headers, _ = ask(kiosk, "POST", "/technician/login", f"token={TOKEN}")
        assert headers["location"] == "/technician?refused=wait"
        assert ask(kiosk, "GET", f"/enter?token={TOKEN}")[0] == 429


def test_without_a_token_nothing_opens_the_technicians_view() -> None:
    with kiosk_server(token="") as kiosk:
        _, headers, _ = ask(kiosk, "POST", "/technician/login", "token=")
        assert headers["location"] == "/technician?refused=none"
        assert ask(kiosk, "GET", "/api/status")[0] == 401


def test_a_large_body_is_refused(kiosk: KioskServer) -> None:
    assert ask(kiosk, "POST", "/technician/login", "token=" + "x" * 100_000)[0] == 413


# The WebSocket.


@pytest.mark.parametrize(
    "messages",
    [
        ["hello"],
        [BEGIN],
        [b"\x01\x01"],
        [JOIN, JOIN],
        [json.dumps({"type": "join", "version": 99})],
        [JOIN, b"\x01\x01"],
        [JOIN, b"\x02" * 40],
        [JOIN, "{" * 3000],
        [JOIN, '{"type": "begin", "rate_hz": 3}'],
        [JOIN, json.dumps({"type": "language", "code": "x" * 4000})],
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(
    kiosk: KioskServer, messages: list[str | bytes]
) -> None:
    with talk(kiosk) as socket_:
        for message in messages:
            socket_.send(message)
        assert ends_with(socket_) == 1002
    assert_alive(kiosk)


@pytest.mark.parametrize("message", ["x" * 200_000, b"\x01" * 200_000])
def test_an_oversize_message_ends_the_connection(kiosk: KioskServer, message: str | bytes) -> None:
    with talk(kiosk) as socket_:
        socket_.send(JOIN)
        socket_.send(message)
        # What it had still to read may cost the close frame its way.
        assert ends_with(socket_) in {1009, None}
    assert_alive(kiosk)


def test_a_frame_from_the_past_ends_the_connection() -> None:
    frame = encode_microphone_frame(MicrophoneFrame(3, 480, 10.0, np.zeros(160, dtype=np.int16)))
    with kiosk_server() as kiosk, talk(kiosk) as socket_:
        for message in (JOIN, BEGIN, frame, frame):
            socket_.send(message)
        assert ends_with(socket_) == 1002


def test_a_flood_of_messages_ends_the_connection(kiosk: KioskServer) -> None:
    with talk(kiosk) as socket_:
        socket_.send(JOIN)
        try:
            for _ in range(5000):
                socket_.send('{"type": "end"}')
        except ConnectionClosed:
            pass
        assert ends_with(socket_) in {1002, None}
    assert_alive(kiosk)


def test_who_says_nothing_is_not_waited_for(
    kiosk: KioskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_JOIN_TIMEOUT_S", 0.3)
    with talk(kiosk) as socket_:
        assert ends_with(socket_) == 1008


def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SEND_TIMEOUT_S", 0.5)
    with kiosk_server() as kiosk:
        with upgraded(kiosk) as raw:
            raw.sendall(masked(1, JOIN.encode()))
            limit = time.monotonic() + 10
            while kiosk.pages.count == 0:
                assert time.monotonic() < limit
                time.sleep(0.02)
            from voicebot.kiosk.page_messages import UserWords  # noqa: PLC0415

            words = UserWords(1, "x" * 100_000, is_final=False)
            limit = time.monotonic() + 20
            while kiosk.pages.count:
                assert time.monotonic() < limit, "the slow page was never dropped"
                kiosk.on_loop(lambda: kiosk.pages.tell(words))
                time.sleep(0.02)
        assert_alive(kiosk)
        assert kiosk.pages.dropped == 1


def test_a_request_that_trickles_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatient_http, "REQUEST_TIMEOUT_S", 0.5)
    with kiosk_server() as kiosk:
        slow = [socket.create_connection(("127.0.0.1", kiosk.port)) for _ in range(20)]
        for one in slow:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127")
            one.settimeout(10)
        for one in slow:
            assert one.recv(100) == b""
            one.close()
        assert_alive(kiosk)


def upgraded(kiosk: KioskServer) -> socket.socket:
    """A raw socket behind the handshake of a WebSocket."""
    raw = socket.create_connection(("127.0.0.1", kiosk.port), timeout=10)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(
        f"GET /talk HTTP/1.1\r\nHost: 127.0.0.1:{kiosk.port}\r\nOrigin: {kiosk.url}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return raw


def masked(opcode: int, payload: bytes, *, first: int = 0x80) -> bytes:
    """A client's frame; ``first`` has its flags."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", first | opcode, 0x80 | length)
    else:
        head = struct.pack("!BBH", first | opcode, 0x80 | 126, length)
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


MALFORMED = {
    "unmasked": b"\x81\x05hello",
    "reserved bits": masked(1, b"hello", first=0xF0),
    "unknown opcode": masked(3, b"hello"),
    "unknown control opcode": masked(11, b""),
    "long ping": masked(9, b"x" * 200),
    "fragmented ping": masked(9, b"x", first=0),
    "continuation of nothing": masked(0, b"hello"),
    "text that is no UTF-8": masked(1, b"\xff\xfe\xfd"),
    "close with one byte": masked(8, b"\x03"),
    "close with a forbidden code": masked(8, struct.pack("!H", 1005)),
    "a length of 2^63": b"\x82\xff" + b"\xff" * 8,
    "a length of 4 GiB": b"\x82\xff" + struct.pack("!Q", 2**32),
    "HTTP again": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": b"\0" * 64,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_frame_ends_only_its_connection(kiosk: KioskServer, name: str) -> None:
    with upgraded(kiosk) as raw:
        raw.sendall(MALFORMED[name])
        received = b""
        while part := raw.recv(4096):
            received += part
        assert received[:1] in {b"", b"\x88"}, "anything but a close frame"
    assert_alive(kiosk)


def fuzzed_request(rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400))
    if kind == 1:
        name = rng.choice(["Host", "Origin", "Cookie", "Upgrade", "Content-Length", "X"])
        return f"GET / HTTP/1.1\r\n{name}: ".encode() + rng.randbytes(30) + b"\r\n\r\n"
    path = rng.choice(["/", "/talk", "/assets/", "/enter?token=", "/technician/login"])
    method = rng.choice(["GET", "POST", "PUT", "TRACE", "CONNECT", "\x00"])
    line = f"{method} {path}{rng.randrange(10**9):x} HTTP/{rng.choice(['1.1', '1.0', '9'])}\r\n"
    noise = rng.randbytes(rng.randrange(60)) if kind == 3 else b"Host: 127.0.0.1\r\n\r\n"
    return line.encode() + noise


def fuzzed_frames(rng: random.Random) -> bytes:
    frames = [masked(1, JOIN.encode()), masked(1, BEGIN.encode())]
    for _ in range(rng.randrange(1, 6)):
        payload = rng.randbytes(rng.randrange(300))
        if rng.random() < 0.5:
            payload = b"\x01\x01\0\0" + payload
        frames.append(
            masked(rng.randrange(16), payload, first=rng.choice([0x80, 0x80, 0x80, 0, 0xC0]))
        )
    data = b"".join(frames)
    if rng.random() < 0.3:
        spoilt = rng.randrange(len(data))
        data = data[:spoilt] + rng.randbytes(1) + data[spoilt + 1 :]
    return data


def test_noise_of_any_kind_leaves_the_server_alive() -> None:
    rounds = int(os.environ.get("VOICEBOT_FUZZ_ROUNDS", "150"))
    rng = random.Random(7)  # noqa: S311
    counts: Counter[str] = Counter()
    with kiosk_server() as kiosk:
        for _ in range(rounds):
            is_frames = rng.random() < 0.6
            with (
                upgraded(kiosk)
                if is_frames
                else socket.create_connection(("127.0.0.1", kiosk.port), timeout=10) as raw
            ):
                counts["frames" if is_frames else "requests"] += 1
                try:
                    raw.sendall(fuzzed_frames(rng) if is_frames else fuzzed_request(rng))
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
                except OSError:
                    counts["reset"] += 1
        assert_alive(kiosk)
        limit = time.monotonic() + 10
        while kiosk.pages.count > 1:
            assert time.monotonic() < limit, "connections are left over"
            time.sleep(0.05)
    print(f"fuzzed: {dict(counts)}")  # noqa: T201  # shown with -s
    assert counts["frames"] + counts["requests"] == rounds
