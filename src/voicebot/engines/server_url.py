"""Addresses of servers, as settings give them."""

from __future__ import annotations

import ipaddress
import os
from typing import NamedTuple
from urllib.parse import urlsplit

from voicebot.errors import ConfigError

__all__ = ["HostAndPort", "http_url", "is_loopback", "tcp_address", "why_not_connected"]


class HostAndPort(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def http_url(key: str, text: str) -> str:
    """A checked ``http://`` or ``https://`` address, without a slash at its end.

    Args:
        key: the setting that gave it, for the error's line.
        text: the address.

    Raises:
        ConfigError: it is not one, or holds a password: settings are written into records.
    """
    try:
        parts = urlsplit(text.strip())
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigError(
            f"{key} is not the address of an HTTP server", "give one like http://127.0.0.1:8000/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"{key} holds more than scheme, host, port and path",
            "a key belongs into the environment, under the name that llm.api_key_variable gives",
        )
    return text.strip().rstrip("/")


def tcp_address(key: str, text: str) -> HostAndPort:
    """The host and port of a ``tcp://HOST:PORT`` address.

    Args:
        key: the setting that gave it, for the error's line.
        text: the address.

    Raises:
        ConfigError: it is not one.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        port = None
    if not port or parts.scheme != "tcp" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(
            f"{key} is not the address of a Wyoming server", "give one like tcp://127.0.0.1:10300"
        )
    return HostAndPort(parts.hostname, port)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine as only it can reach itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def why_not_connected(error: BaseException) -> str:
    """The system's own reason behind a failed connection, such as "Connection refused"."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno:
            # asyncio puts addresses into strerror; getaddrinfo's numbers are not the system's.
            known = os.strerror(below.errno) if below.errno > 0 else below.strerror
            return known or str(below)
        below = below.__cause__ or below.__context__
    return " ".join(str(error).split()) or "no connection"
