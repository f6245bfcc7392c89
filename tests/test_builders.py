"""Settings of servers and fallbacks, to engines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from server_processes import chat_server
from voicebot.builders.llm import llm_factory
from voicebot.builders.servers import answer_timeout_s, chat_access
from voicebot.builders.tts import tts_factory
from voicebot.choice import StageChoice, choose_profile
from voicebot.config import Settings
from voicebot.engines.server_url import http_url, tcp_address
from voicebot.errors import ConfigError
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from pathlib import Path


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_a_server_is_given_up_before_its_stage_counts_as_stuck() -> None:
    assert answer_timeout_s(Settings(), has_fallback=False) == 7.0
    assert answer_timeout_s(Settings(), has_fallback=True) == 6.0
    short = settings(reply={"stage_timeout_s": 5.0})
    assert answer_timeout_s(short, has_fallback=False) == 4.0
    assert answer_timeout_s(short, has_fallback=True) == 2.0


def test_the_key_comes_from_the_environment_alone() -> None:
    keyed = settings(llm={"api_key_variable": "MY_KEY", "url": "https://llm.example/v1/"})
    environment = {"MY_KEY": " sk-1 ", "OPENAI_API_KEY": "sk-2"}
    assert chat_access(keyed, environment) == ("https://llm.example/v1", "MY_KEY", "sk-1")
    assert chat_access(keyed, {}) == ("https://llm.example/v1", "MY_KEY", "")


@pytest.mark.parametrize("variable", ["sk-proj-abc", "", "TWO WORDS"])
def test_a_key_in_place_of_a_name_is_refused_and_not_repeated(variable: str) -> None:
    with pytest.raises(ConfigError, match="not the name of an environment variable") as raised:
        chat_access(settings(llm={"api_key_variable": variable}), {})
    assert not variable or variable not in str(raised.value)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds no key") as raised:
        chat_access(Settings(), {"OPENAI_API_KEY": key})
    assert key not in str(raised.value)


def test_a_key_in_the_clear_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    environment = {"OPENAI_API_KEY": "sk-1"}
    chat_access(settings(llm={"url": "http://127.0.0.1:8000/v1"}), environment)
    assert not caplog.records
    chat_access(settings(llm={"url": "http://10.0.0.2:8000/v1"}), environment)
    assert "unencrypted" in caplog.text
    assert "sk-1" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8000", "ftp://h/v1", "http://", "http://h:99999/v1", "http://[::1/v1"],
)
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.url is not the address"):
        http_url("llm.url", url)


@pytest.mark.parametrize("url", ["http://me:pw@h/v1", "http://h/v1?key=1", "http://h/v1#x"])
def test_an_address_that_holds_secrets_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="more than scheme") as raised:
        http_url("llm.url", url)
    assert url not in str(raised.value)


def test_wyoming_addresses() -> None:
    assert str(tcp_address("asr.url", "tcp://[::1]:10300")) == "[::1]:10300"
    for url in ("tcp://h", "http://h:1", "tcp://:1", "tcp://h:0", "tcp://h:99999", "h:1", ""):
        with pytest.raises(ConfigError, match=r"asr\.url is not the address"):
            tcp_address("asr.url", url)


def test_a_remote_profile_needs_no_models_but_those_of_its_fallbacks() -> None:
    plain = choose_profile(settings(profile="remote"))
    assert plain.models == ("silero-vad-v6", "smart-turn-v3.2")
    assert plain.llm_fallback is None
    chosen = choose_profile(
        settings(
            profile="remote",
            asr={"fallback": "pocketsphinx"},
            llm={"fallback": "auto:smollm2-360m-instruct", "model": "smollm2-135m-instruct"},
            tts={"fallback": "espeak"},
        )
    )
    assert chosen.llm == StageChoice("openai", "smollm2-135m-instruct")
    assert chosen.llm_fallback == StageChoice("auto", "smollm2-360m-instruct")
    assert chosen.models[2:] == ("pocketsphinx-en-us", "smollm2-360m-instruct", "espeak-ng")
    assert chosen.models_of("tts") == ("espeak-ng",)


def test_a_model_of_the_profile_is_not_asked_of_a_server() -> None:
    assert choose_profile(settings(llm={"engine": "openai"})).llm == StageChoice("openai", "")


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"llm": {"fallback": "gpt"}}, "llm.fallback names the engine gpt"),
        ({"tts": {"fallback": "espeak:smollm2-135m-instruct"}}, "tts.fallback names smollm2"),
        ({"asr": {"fallback": "pocketsphinx:nothing"}}, "nothing"),
    ],
)
def test_an_impossible_fallback_is_one_line(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        choose_profile(settings(**sections))


def test_an_engine_is_no_fallback_for_itself(tmp_path: Path) -> None:
    remote = settings(profile="remote", tts={"fallback": "wyoming:other"})
    chosen = choose_profile(remote)
    with pytest.raises(ConfigError, match="is the engine that it is to stand in for"):
        tts_factory(chosen.tts, remote, ModelStore(tmp_path), fallback=chosen.tts_fallback)


def test_a_chat_server_is_built_from_settings(tmp_path: Path) -> None:
    with chat_server("small") as server:
        remote = settings(profile="remote", llm={"url": server.url, "max_tokens": 7})
        llm = llm_factory(choose_profile(remote).llm, remote, ModelStore(tmp_path))()
        llm.close()
        assert [entry["path"] for entry in server.log()] == ["/v1/models"]
