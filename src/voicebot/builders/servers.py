"""Where servers are and how they are waited for, out of the settings and the environment."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicebot.engines.server_url import http_url, is_loopback, tcp_address
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.config import Settings
    from voicebot.engines.wyoming_client import WyomingServer

__all__ = ["answer_timeout_s", "chat_access", "wyoming_place"]

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SHARE = 0.8
_SHARE_BEFORE_FALLBACK = 0.4

_log = logging.getLogger(__name__)


def answer_timeout_s(settings: Settings, *, has_fallback: bool) -> float:
    """How long a server may give no sign of life.

    A stage that is silent for ``reply.stage_timeout_s`` counts as stuck as a whole, so a server
    must be given up before: with a fallback early enough that the fallback has its time, too.
    """
    share = _SHARE_BEFORE_FALLBACK if has_fallback else _SHARE
    return min(settings.servers.answer_timeout_s, share * settings.reply.stage_timeout_s)


def chat_access(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> tuple[str, str, str]:
    """The chat server's address, the name of its key's variable, and the key (empty for none).

    Args:
        settings: the address and the name.
        environment: instead of the process's own.

    Raises:
        ConfigError: the address is none; the variable's name is none, maybe the key itself; the
            key cannot stand in a header.
    """
    url = http_url("llm.url", settings.llm.url)
    variable = settings.llm.api_key_variable
    if not _VARIABLE_NAME.fullmatch(variable):
        # It is not repeated: somebody may have written the key there.
        raise ConfigError(
            "llm.api_key_variable is not the name of an environment variable",
            "put the key into the environment, and the variable's name here",
        )
    environment = os.environ if environment is None else environment
    api_key = environment.get(variable, "").strip()
    if not (api_key.isascii() and api_key.isprintable()):
        raise ConfigError(
            f"the environment variable {variable} holds no key",
            "a key is one line of plain letters, digits and signs",
        )
    if api_key and url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
        _log.warning("the key for %s goes over the network unencrypted: use https", url)
    return url, variable, api_key


def wyoming_place(
    setting: str, url: str, settings: Settings, *, has_fallback: bool
) -> WyomingServer:
    """Where a Wyoming server is.

    Args:
        setting: the key of the setting that gives its address.
        url: the address.
        settings: how it is waited for.
        has_fallback: see ``answer_timeout_s``.

    Raises:
        ConfigError: the address is none.
    """
    from voicebot.engines.wyoming_client import WyomingServer  # noqa: PLC0415  # with its package

    return WyomingServer(
        tcp_address(setting, url),
        setting,
        settings.servers.connect_timeout_s,
        answer_timeout_s(settings, has_fallback=has_fallback),
    )
