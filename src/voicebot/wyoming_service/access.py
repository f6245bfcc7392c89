"""Who may use the service.

Wyoming has neither passwords nor encryption, so a list of client addresses stands in for a token.
Pure.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from voicebot.engines.server_url import is_loopback
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AccessRules", "access_rules"]

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Whose connections are taken; those of this machine always are.

    Attributes:
        networks: of the clients that are let in.
        lets_everybody_in: whoever reaches the port.
    """

    networks: tuple[_Network, ...] = ()
    lets_everybody_in: bool = False

    def admits(self, address: str) -> bool:
        """Whether a client at ``address`` may connect."""
        try:
            client = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        return (
            self.lets_everybody_in
            or client.is_loopback
            or any(client in network for network in self.networks)
        )


def access_rules(host: str, allowed: Sequence[str], *, insecure_lan: bool) -> AccessRules:
    """The rules for a server that listens at ``host``.

    Args:
        host: the address to listen at.
        allowed: addresses and networks (``192.168.1.0/24``) of clients.
        insecure_lan: everybody who reaches the port is let in.

    Raises:
        ConfigError: one of ``allowed`` is no address; or ``host`` can be reached from other
            machines and nothing says which of them are meant.
    """
    networks = []
    for text in allowed:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ConfigError(
                f"--allow {text} is neither an address nor a network",
                "write one like 192.168.1.20 or 192.168.1.0/24",
            ) from None
    if not (is_loopback(host) or networks or insecure_lan):
        raise ConfigError(
            f"at {host} other machines could use this service, and Wyoming knows no passwords",
            "name those that may with --allow ADDRESS, or let everybody in with --insecure-lan",
        )
    return AccessRules(tuple(networks), lets_everybody_in=insecure_lan)
