"""Who may ask the server for what: hosts, origins, tokens, cookies, headers.

The kiosk is made for one machine, or one network that is trusted to carry its traffic. What this
guards against is a web page elsewhere that makes the visitor's browser talk to the kiosk (origin,
DNS rebinding), and people on the network without the token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import time
from collections import deque
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicebot.config import KioskSettings

__all__ = ["Gate", "GateRules", "Scope", "gate_rules", "is_loopback"]

Scope: TypeAlias = Literal["visitor", "technician"]

_TOKEN_CHARACTERS_MIN = 16
_COOKIE_LIFE_S: Mapping[Scope, int] = {"visitor": 30 * 86_400, "technician": 30 * 60}
_FAILURES_MAX = 5
_FAILURES_WINDOW_S = 60.0
_CLIENTS_KEPT = 1000
_COOKIE_CHARACTERS_MAX = 4096


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the server lets through.

    Attributes:
        hosts: names (with port) under which it may be asked, in lower case.
        token: opens what is closed; empty if there is none, and then nothing does.
        visitors_need_token: whether the page itself is closed.
    """

    hosts: frozenset[str]
    token: str
    visitors_need_token: bool


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def gate_rules(
    kiosk: KioskSettings, port: int, environment: Mapping[str, str] = os.environ
) -> GateRules:
    """The rules that the settings ask for.

    Raises:
        ConfigError: others than this machine can reach it and there is no token, or a bad one.
    """
    token = environment.get(kiosk.token_variable, "") if kiosk.token_variable else ""
    if token and len(token) < _TOKEN_CHARACTERS_MIN:
        raise ConfigError(
            f"the token in {kiosk.token_variable} is shorter than {_TOKEN_CHARACTERS_MIN} letters",
            "take a longer one, such as what 'openssl rand -hex 16' prints",
        )
    if not is_loopback(kiosk.host) and not token:
        name = kiosk.token_variable or "VOICEBOT_KIOSK_TOKEN"
        raise ConfigError(
            f"kiosk.host = {kiosk.host} is open to other machines, and there is no token",
            f"set kiosk.token_variable to {name} and that environment variable to a secret",
        )
    names = {"localhost", "127.0.0.1", "[::1]"}
    if kiosk.host not in {"0.0.0.0", "::"}:  # noqa: S104  # these name no host
        names.add(f"[{kiosk.host}]" if ":" in kiosk.host else kiosk.host)
    allowed = {one.strip().lower() for one in kiosk.allowed_hosts.split(",") if one.strip()}
    names |= allowed
    hosts = {name.lower() if _has_port(name) else f"{name.lower()}:{port}" for name in names}
    hosts |= allowed  # a proxy in front has a port of its own
    # A browser leaves the scheme's own port out.
    hosts |= {host.removesuffix(f":{port}") for host in hosts if port in {80, 443}}
    return GateRules(frozenset(hosts), token, not is_loopback(kiosk.host))


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")


class Gate:
    """Answers whether a request may pass.

    Args:
        rules: what it lets through.
        clock: Unix time, in seconds.
    """

    def __init__(self, rules: GateRules, *, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    @property
    def has_token(self) -> bool:
        """Whether anything closed can be opened."""
        return bool(self._rules.token)

    def knows_host(self, host: str) -> bool:
        """Whether the request names a host that is this one (against DNS rebinding)."""
        return host.lower() in self._rules.hosts

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Whether the request comes from a page of this very server."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()

    def may(self, scope: Scope, cookie_header: str) -> bool:
        """Whether the cookies open ``scope``."""
        if scope == "visitor" and not self._rules.visitors_need_token:
            return True
        if not self._rules.token or len(cookie_header) > _COOKIE_CHARACTERS_MAX:
            return False
        try:
            cookies = SimpleCookie(cookie_header)
        except CookieError:
            return False
        cookie = cookies.get(self.cookie_name(scope))
        return cookie is not None and self._is_valid(scope, cookie.value)

    def opens(self, token: str, client: str) -> bool | None:
        """Whether ``token`` is the one; None if ``client`` had too many wrong ones lately.

        Args:
            token: what was given.
            client: the address it came from, so that guessing locks out nobody else.
        """
        now_s = self._clock()
        failures = self._failures.pop(client, deque())
        while failures and failures[0] < now_s - _FAILURES_WINDOW_S:
            failures.popleft()
        is_right = bool(self._rules.token) and hmac.compare_digest(
            token.encode("utf-8", "replace"), self._rules.token.encode()
        )
        if len(failures) >= _FAILURES_MAX:
            opened = None
        elif is_right:
            opened = True
        else:
            failures.append(now_s)
            opened = False
        if failures:
            self._failures[client] = failures
            while len(self._failures) > _CLIENTS_KEPT:
                del self._failures[next(iter(self._failures))]
        return opened

    @staticmethod
    def cookie_name(scope: Scope) -> str:
        """The name of the cookie that opens ``scope``."""
        return f"voicebot_{scope}"

    def cookie_life_s(self, scope: Scope) -> int:
        """How long it opens it."""
        return _COOKIE_LIFE_S[scope]

    def new_cookie(self, scope: Scope) -> str:
        """The value of a cookie that opens ``scope``; the token cannot be read from it."""
        until = str(int(self._clock()) + _COOKIE_LIFE_S[scope])
        return f"{until}.{self._seal(scope, until)}"

    def _is_valid(self, scope: Scope, value: str) -> bool:
        until, _, seal = value.partition(".")
        is_sealed = hmac.compare_digest(seal.encode(), self._seal(scope, until).encode())
        return is_sealed and until.isdigit() and self._clock() < int(until)

    def _seal(self, scope: Scope, until: str) -> str:
        key = self._rules.token.encode()
        return hmac.new(key, f"{scope}:{until}".encode(), hashlib.sha256).hexdigest()
