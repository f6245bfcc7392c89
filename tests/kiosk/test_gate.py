"""Who may ask for what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.config import KioskSettings
from voicebot.errors import ConfigError
from voicebot.kiosk.gate import Gate, gate_rules, is_loopback

TOKEN = "0123456789abcdef"  # noqa: S105


def gate(clock_s: list[float] | None = None, *, token: str = TOKEN, **kiosk: str) -> Gate:
    settings = KioskSettings(token_variable="T", **kiosk)  # noqa: S106
    now_s = clock_s or [1000.0]
    return Gate(gate_rules(settings, 8765, {"T": token}), clock=lambda: now_s[0])


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.9.9.9", True),
        ("0.0.0.0", False),  # noqa: S104
        ("192.168.1.4", False),
        ("kiosk.local", False),
        ("::", False),
    ],
)
def test_what_is_reached_from_elsewhere_needs_a_token(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local
    settings = KioskSettings(host=host)
    if is_local:
        assert not gate_rules(settings, 1, {}).visitors_need_token
        return
    with pytest.raises(ConfigError, match="there is no token"):
        gate_rules(settings, 1, {})
    rules = gate_rules(KioskSettings(host=host, token_variable="T"), 1, {"T": TOKEN})  # noqa: S106
    assert rules.visitors_need_token


def test_a_short_token_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="shorter than 16") as refused:
        gate_rules(KioskSettings(token_variable="T"), 1, {"T": "hunter2"})  # noqa: S106
    assert "hunter2" not in str(refused.value)


def test_hosts_are_known_by_name_and_port() -> None:
    one = gate(allowed_hosts="Kiosk.local, stand:9000")
    for host in (
        "127.0.0.1:8765",
        "LOCALHOST:8765",
        "[::1]:8765",
        "kiosk.local:8765",
        "kiosk.local",
        "stand:9000",
    ):
        assert one.knows_host(host)
    for host in ("", "kiosk.local:80", "127.0.0.1", "stand:8765", "kiosk.local.evil:8765"):
        assert not one.knows_host(host)


def test_a_cookie_opens_its_own_scope_for_its_time() -> None:
    now_s = [1000.0]
    one = gate(now_s, host="0.0.0.0")  # noqa: S104
    cookie = f"a=b; voicebot_technician={one.new_cookie('technician')}"
    assert one.may("technician", cookie)
    assert not one.may("visitor", cookie)
    now_s[0] += one.cookie_life_s("technician") + 1
    assert not one.may("technician", cookie)


def test_a_cookie_outlives_the_server_but_not_its_token() -> None:
    cookie = f"voicebot_visitor={gate(host='::').new_cookie('visitor')}"
    assert gate(host="::").may("visitor", cookie)
    assert not gate(host="::", token="another-token-0000").may("visitor", cookie)  # noqa: S106


def test_wrong_tokens_close_the_door_for_a_while() -> None:
    now_s = [1000.0]
    one = gate(now_s)
    assert [one.opens("guess", "1.1.1.1") for _ in range(6)] == [False] * 5 + [None]
    assert one.opens(TOKEN, "1.1.1.1") is None
    assert one.opens(TOKEN, "2.2.2.2") is True
    now_s[0] += 61
    assert one.opens(TOKEN, "1.1.1.1") is True


def test_guesses_from_everywhere_do_not_pile_up() -> None:
    one = gate()
    for number in range(5000):
        one.opens("guess\udcff", f"client {number}")
    assert len(one._failures) == 1000


@given(st.text(max_size=300))
def test_no_other_cookie_opens_anything(text: str) -> None:
    one = gate(host="0.0.0.0")  # noqa: S104
    for header in (text, f"voicebot_visitor={text}", f"voicebot_visitor=99999999999.{text}"):
        assert not one.may("visitor", header)


@given(st.text(max_size=60))
def test_no_other_origin_is_the_own(origin: str) -> None:
    assert not gate().is_own_origin(origin, "127.0.0.1:8765")
