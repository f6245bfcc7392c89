from __future__ import annotations

import pytest

from voicebot.errors import ConfigError
from voicebot.wyoming_service.access import access_rules


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_rules(host: str) -> None:
    rules = access_rules(host, [], insecure_lan=False)
    assert rules.admits("127.0.0.1")
    assert rules.admits("::1")
    assert rules.admits("::ffff:127.0.0.1")
    assert not rules.admits("192.168.1.20")
    assert not rules.admits("")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "speech.local", ""])  # noqa: S104
def test_other_machines_are_never_let_in_by_default(host: str) -> None:
    with pytest.raises(ConfigError, match=r"no passwords.*--allow ADDRESS.*--insecure-lan"):
        access_rules(host, [], insecure_lan=False)


def test_named_clients_are_let_in() -> None:
    rules = access_rules("0.0.0.0", ["192.168.1.20", "10.1.0.0/16"], insecure_lan=False)  # noqa: S104
    assert rules.admits("192.168.1.20")
    assert rules.admits("::ffff:10.1.2.3")
    assert rules.admits("127.0.0.1")
    assert not rules.admits("192.168.1.21")
    assert not rules.admits("10.2.0.1")
    assert not rules.admits("fe80::1%eth0")


def test_everybody_is_let_in_if_somebody_says_so() -> None:
    assert access_rules("0.0.0.0", [], insecure_lan=True).admits("203.0.113.5")  # noqa: S104


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither an address nor a network"):
        access_rules("127.0.0.1", ["homeassistant.local"], insecure_lan=False)
