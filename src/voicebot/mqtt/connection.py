"""Opening a connection to the broker: address, encryption, who we are, the last will."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.mqtt.payloads import OFFLINE
from voicebot.mqtt.topics import TOPIC_TABLE, Topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiomqtt

    from voicebot.config import MqttSettings
    from voicebot.mqtt.topics import Topics

__all__ = ["BrokerAddress", "broker_address", "connected", "connection_problem"]

_KEEPALIVE_S = 15
_ANSWER_TIMEOUT_S = 10.0
_PACKET_BYTES_MAX = 65_536  # the broker delivers nothing larger: MQTT 5's maximum packet size
_COMMANDS_WAITING_MAX = 32
_PLAIN_PORT = 1883
_TLS_PORT = 8883
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})

_log = logging.getLogger("voicebot.mqtt")


@dataclass(frozen=True, slots=True, repr=False)
class BrokerAddress:
    """Where the broker is and how to get in; has no ``repr``, for the password.

    Attributes:
        host: its name or address.
        port: its port.
        user: None for nobody.
        password: None without one.
        tls: how to encrypt; None for not at all.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None


def broker_address(
    settings: MqttSettings, environment: Mapping[str, str] = os.environ
) -> BrokerAddress:
    """What the settings say of the broker, checked; reads the certificates' files.

    Raises:
        ConfigError: settings contradict each other, the password's variable is not set, or a
            certificate cannot be used.
    """
    _require_consistency(settings)
    password = None
    if settings.password_variable:
        password = environment.get(settings.password_variable)
        if not password:
            raise ConfigError(
                f"mqtt.password_variable names {settings.password_variable}, which is not set",
                "set it in the environment, such as in systemd's EnvironmentFile",
            )
        if not settings.tls and settings.host not in _THIS_MACHINE:
            _log.warning("the password for MQTT crosses the network in the clear: set mqtt.tls")
    return BrokerAddress(
        host=settings.host,
        port=settings.port or (_TLS_PORT if settings.tls else _PLAIN_PORT),
        user=settings.user or None,
        password=password,
        tls=_tls_context(settings) if settings.tls else None,
    )


def _require_consistency(settings: MqttSettings) -> None:
    files = (settings.ca_file, settings.client_certificate_file, settings.client_key_file)
    if any(files) and not settings.tls:
        raise ConfigError("mqtt has certificates but mqtt.tls is false", "set mqtt.tls = true")
    if (settings.client_certificate_file is None) != (settings.client_key_file is None):
        raise ConfigError(
            "mqtt has a client's certificate without its key, or the other way round",
            "set both mqtt.client_certificate_file and mqtt.client_key_file",
        )
    if settings.password_variable and not settings.user:
        raise ConfigError("mqtt has a password but no user", "set mqtt.user")


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    file = settings.ca_file
    try:
        # Checks the chain and the name; nothing here can switch that off.
        context = ssl.create_default_context(cafile=None if file is None else str(file))
        if settings.client_certificate_file is not None:
            file = settings.client_certificate_file
            context.load_cert_chain(
                str(file), str(settings.client_key_file), password=_no_passphrase
            )
    except OSError as error:  # SSLError is one
        reason = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        raise ConfigError(
            f"the certificate {file} (or its key) cannot be used: {reason}",
            "mqtt.ca_file, mqtt.client_certificate_file and mqtt.client_key_file take PEM files",
        ) from error
    return context


def _no_passphrase() -> str:
    return ""  # otherwise OpenSSL would ask at the terminal, and wait for ever


@contextlib.asynccontextmanager
async def connected(
    address: BrokerAddress, topics: Topics, *, on_overflow: Callable[[], None]
) -> AsyncIterator[aiomqtt.Client]:
    """A connection that says ``offline`` for us when it breaks.

    Args:
        address: the broker.
        topics: this kiosk's.
        on_overflow: called for each message that had to be dropped, since too many came at once.

    Raises:
        aiomqtt.MqttError: the broker cannot be reached or refuses; see ``connection_problem``.
    """
    import aiomqtt  # noqa: PLC0415 - an extra, and only where it is switched on
    from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - as above
    from paho.mqtt.properties import Properties  # noqa: PLC0415 - as above

    class CountingQueue(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            try:
                super().put_nowait(item)
            except asyncio.QueueFull:
                on_overflow()
                raise

    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.MaximumPacketSize = _PACKET_BYTES_MAX
    library_log = logging.getLogger("voicebot.mqtt.paho")
    library_log.setLevel(logging.CRITICAL)  # what it would say is raised, too, and told once
    availability = TOPIC_TABLE[Topic.AVAILABILITY]
    async with aiomqtt.Client(
        address.host,
        address.port,
        username=address.user,
        password=address.password,
        logger=library_log,
        identifier=topics.device_id,
        protocol=aiomqtt.ProtocolVersion.V5,
        properties=limits,
        tls_context=address.tls,
        keepalive=_KEEPALIVE_S,
        timeout=_ANSWER_TIMEOUT_S,
        queue_type=CountingQueue,
        max_queued_incoming_messages=_COMMANDS_WAITING_MAX,
        will=aiomqtt.Will(
            topics.of(Topic.AVAILABILITY), OFFLINE, availability.qos, availability.retain
        ),
    ) as client:
        yield client


def connection_problem(error: BaseException, address: BrokerAddress) -> str:
    """One line on why there is no connection; never with the password in it."""
    where = f"{address.host}:{address.port}"
    text = " ".join(str(error).split()) or type(error).__name__
    lower = text.lower()
    if any(words in lower for words in ("not authorized", "bad user name", "not authorised")):
        return f"the MQTT broker at {where} refuses this user or password"
    if "certificate" in lower or "ssl" in lower:
        return f"no trust between this kiosk and the MQTT broker at {where}: {text}"
    if "protocol version" in lower:
        return f"the MQTT broker at {where} does not know version 5 of MQTT"
    return f"no connection to the MQTT broker at {where}: {text}"
