from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from hub_server import serving_hub
from voicebot.models.hub_reach import hub_answers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_a_hub_that_is_there_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving_hub({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert hub_answers(path=tmp_path / "hub.json")
    assert not (tmp_path / "hub.json").exists()


def test_a_closed_port_is_a_no_that_is_remembered_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        path = tmp_path / "cache" / "hub.json"
        assert not hub_answers(path=path, now=lambda: 1000.0)
    asked: list[str] = []

    def ask(endpoint: str, timeout_s: float) -> bool:
        asked.append(endpoint)
        return True

    assert not hub_answers(ask=ask, path=path, now=lambda: 1100.0)
    assert asked == []
    assert hub_answers(ask=ask, path=path, now=lambda: 2000.0)
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.invalid")
    assert hub_answers(ask=ask, path=path, now=lambda: 1100.0)


def test_one_that_never_answers_costs_the_time_limit_only(tmp_path: Path) -> None:
    release = threading.Event()
    assert not hub_answers(
        ask=lambda endpoint, timeout_s: release.wait(60), timeout_s=0.05, path=tmp_path / "h.json"
    )
    release.set()


def test_offline_mode_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def ask(endpoint: str, timeout_s: float) -> bool:
        raise AssertionError("nobody is to be asked")

    assert not hub_answers(ask=ask, path=tmp_path / "hub.json")


@pytest.mark.parametrize("content", ["", "[]", '{"endpoint": 5}', '{"no_answer_at": "x"}'])
def test_a_damaged_cache_is_asked_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hub.json"
    path.write_text(content)
    assert hub_answers(ask=lambda endpoint, timeout_s: True, path=path)
