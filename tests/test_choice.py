from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.auto_choice import Surroundings
from voicebot.choice import (
    StageChoice,
    _fallback,
    check_roles,
    choose_profile,
    device_warnings,
    is_path,
    look_around,
)
from voicebot.config import ModelsSettings, Settings
from voicebot.errors import ConfigError
from voicebot.machine import MachineFacts
from voicebot.models.registry import PROFILES
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.models.registry import SpokenRole

LAPTOP = MachineFacts(2, 16 * 1024**3, 55.0, 12.0)


def settings(profile: str = "embedded", language: str = "en", **sections: Any) -> Settings:
    return Settings.model_validate({"profile": profile, "language": language, **sections})


@pytest.mark.parametrize("profile", ["embedded", "cpu", "gpu"])
def test_a_profile_takes_its_models(profile: str) -> None:
    assert choose_profile(settings(profile)).models == PROFILES[profile]


def test_auto_knows_nothing_without_surroundings() -> None:
    chosen = choose_profile(settings("auto"))
    assert chosen.name == "embedded"
    assert chosen.reason == "it needs no model hub"


def test_auto_follows_its_surroundings() -> None:
    around = Surroundings(frozenset(), hub_answers=True, machine=LAPTOP)
    chosen = choose_profile(settings("auto", tts={"engine": "espeak"}), around)
    assert chosen.name == "mixed"
    assert chosen.reason.startswith("cpu with another voice; 2 cores")
    assert chosen.asr == StageChoice("faster-whisper", "faster-whisper-base.en")
    assert chosen.tts == StageChoice("espeak", "espeak-ng")


@pytest.mark.parametrize(
    ("role", "engine", "model", "choice"),
    [
        ("asr", "auto", "faster-whisper:base.en", ("faster-whisper", "faster-whisper-base.en")),
        ("asr", "faster-whisper", "base.en", ("faster-whisper", "faster-whisper-base.en")),
        ("asr", "faster-whisper", "", ("faster-whisper", "faster-whisper-base.en")),
        ("asr", "auto", "owner/name", ("faster-whisper", "owner/name")),
        ("asr", "wyoming", "", ("wyoming", "")),
        ("llm", "auto", "qwen2.5-0.5b-instruct", ("auto", "qwen2.5-0.5b-instruct")),
        ("llm", "transformers", "", ("transformers", "smollm2-135m-instruct")),
        (
            "llm",
            "auto",
            "qwen2.5-0.5b-instruct-q4_k_m",
            ("auto", "qwen2.5-0.5b-instruct-q4_k_m"),
        ),
        ("llm", "auto", "openai:llama3.2:1b", ("openai", "llama3.2:1b")),
        ("llm", "openai", "llama3.2:1b", ("openai", "llama3.2:1b")),
        ("tts", "piper", "", ("piper", "piper-en-us-lessac-medium")),
        ("tts", "auto", "en_GB-alan-low", ("piper", "piper-en-gb-alan-low")),
    ],
)
def test_each_stage_can_be_replaced(
    role: str, engine: str, model: str, choice: tuple[str, str]
) -> None:
    chosen = choose_profile(settings(**{role: {"engine": engine, "model": model}}))
    assert getattr(chosen, role) == StageChoice(*choice)
    others = {"asr", "llm", "tts"} - {role}
    plain = choose_profile(settings())
    assert all(getattr(chosen, other) == getattr(plain, other) for other in others)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"asr": {"model": "espeak-ng"}}, "asr.model names espeak-ng, which is not a recogniser"),
        ({"tts": {"model": "faster-whisper:tiny"}}, "is not a voice"),
        ({"asr": {"model": "faster-whisper:bas.en"}}, "did you mean faster-whisper-base.en"),
        (
            {"asr": {"engine": "pocketsphinx", "model": "faster-whisper-base.en"}},
            "cannot run faster-whisper-base.en: leave asr.engine at auto",
        ),
        (
            {"asr": {"engine": "pocketsphinx", "model": "faster-whisper:base.en"}},
            "names another engine than asr.engine",
        ),
        ({"tts": {"model": "espeak:de"}}, "its voices are chosen with --set tts.voice=de"),
        ({"llm": {"model": "/nowhere/model.gguf"}}, "there is no /nowhere/model.gguf"),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_way_out(changed: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_profile(settings(**changed))
    assert line in str(caught.value)


def test_a_profile_that_lacks_the_language_says_the_way_out() -> None:
    with pytest.raises(ConfigError, match="does not know the language de") as caught:
        choose_profile(settings(language="de"))
    assert "--asr" in str(caught.value)
    chosen = choose_profile(settings(language="de", asr={"model": "faster-whisper:base"}))
    assert chosen.warnings == (
        "smollm2-135m-instruct does not know the language de; choose another with --llm",
    )
    assert choose_profile(settings("cpu", "de")).warnings == ()


def test_remote_asks_servers() -> None:
    chosen = choose_profile(settings("remote"))
    assert (chosen.asr, chosen.llm) == (StageChoice("wyoming", ""), StageChoice("openai", ""))
    assert chosen.models == ("silero-vad-v6", "smart-turn-v3.2")
    named = choose_profile(settings("remote", llm={"model": "smollm2-135m-instruct"}))
    assert named.llm == StageChoice("openai", "smollm2-135m-instruct")
    mixed = choose_profile(settings("remote", tts={"engine": "espeak"}))
    assert mixed.tts == StageChoice("espeak", "espeak-ng")


def test_the_users_own_models_are_taken_where_they_lie(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_text("{}")
    chosen = choose_profile(settings(asr={"model": str(tmp_path)}))
    assert chosen.asr == StageChoice("faster-whisper", str(tmp_path))
    assert str(tmp_path) in chosen.models
    assert is_path(chosen.asr.model)
    assert not is_path("owner/name")


def test_a_profile_knows_the_models_of_each_stage() -> None:
    chosen = choose_profile(settings())
    assert chosen.models_of("tts") == ("espeak-ng",)
    assert chosen.models_of("asr", "llm") == ("pocketsphinx-en-us", "smollm2-135m-instruct")
    assert (chosen.asr_fallback, chosen.llm_fallback, chosen.tts_fallback) == (None, None, None)


@pytest.mark.parametrize(
    ("role", "text", "choice"),
    [
        ("asr", "pocketsphinx", StageChoice("pocketsphinx", "pocketsphinx-en-us")),
        ("llm", "auto:smollm2-360m-instruct", StageChoice("auto", "smollm2-360m-instruct")),
        ("tts", "wyoming:other", StageChoice("wyoming", "other")),
        ("tts", "en_GB-alan-low", StageChoice("piper", "piper-en-gb-alan-low")),
        ("tts", " ", None),
    ],
)
def test_a_stage_may_have_a_stand_in(
    role: SpokenRole, text: str, choice: StageChoice | None
) -> None:
    assert _fallback(role, SimpleNamespace(fallback=text), "en") == choice


@pytest.mark.parametrize(
    ("role", "text", "line"),
    [
        ("llm", "gpt", "llm.fallback names the engine gpt, which is not known"),
        ("tts", "espeak:smollm2-135m-instruct", "tts.fallback names smollm2-135m-instruct"),
        ("asr", "pocketsphinx:nothing", "nothing"),
    ],
)
def test_an_impossible_stand_in_is_one_line(role: SpokenRole, text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        _fallback(role, SimpleNamespace(fallback=text), "en")


def refuse() -> bool:
    raise AssertionError("the hub is not to be asked")


def measure() -> MachineFacts:
    raise AssertionError("the machine is not to be measured")


def test_nobody_looks_around_where_nothing_is_to_choose(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    assert look_around(settings("cpu"), store, ask_hub=refuse, measure=measure) is None


def test_a_machine_without_a_hub_is_not_measured(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    around = look_around(settings("auto"), store, ask_hub=lambda: False, measure=measure)
    assert around is not None
    assert around.machine is None
    assert choose_profile(settings("auto"), around).models == PROFILES["embedded"]


def test_offline_asks_no_hub(tmp_path: Path) -> None:
    offline = Settings(models=ModelsSettings(dir=tmp_path, offline=True))
    around = look_around(offline, ModelStore(tmp_path), ask_hub=refuse, measure=measure)
    assert around is not None
    assert not around.hub_answers


def test_a_hub_makes_measuring_worth_it(tmp_path: Path) -> None:
    around = look_around(
        settings("auto"), ModelStore(tmp_path), ask_hub=lambda: True, measure=lambda: LAPTOP
    )
    assert around is not None
    assert around.machine == LAPTOP


def test_nobody_is_asked_for_more_once_every_stage_has_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"faster-whisper-tiny.en", "qwen2.5-0.5b-instruct", "piper-en-us-amy-low"}
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name in here)
    around = look_around(
        settings("auto"), ModelStore(tmp_path), ask_hub=refuse, measure=lambda: LAPTOP
    )
    chosen = choose_profile(settings("auto"), around)
    assert chosen.name == "cpu"
    assert set(chosen.models) >= here


def test_the_kind_of_a_repository_is_looked_at_once_it_is_here(tmp_path: Path) -> None:
    chosen = choose_profile(settings(asr={"model": "owner/name"}))
    check_roles(chosen, ModelStore(tmp_path))  # nothing is known yet
    own = tmp_path / "owner--name"
    own.mkdir()
    (own / "voicebot-stamp.json").write_text(
        '{"schema": "voicebot.model/1", "model": "owner/name", "source": "hub:owner/name",'
        '"files": {"a.gguf": {"sha256": "0", "size_bytes": 1, "mtime_ns": 1}}}'
    )
    with pytest.raises(ConfigError, match="names owner/name, which is not a recogniser"):
        check_roles(chosen, ModelStore(tmp_path))


OWN: dict[str, Any] = {
    "asr": {"model": "faster-whisper:base.en"},
    "llm": {"model": "qwen2.5-0.5b-instruct"},
    "tts": {"model": "en_GB-alan-low"},
}


def test_replaced_stages_are_named_in_the_profile() -> None:
    mixed = choose_profile(settings("embedded", asr=OWN["asr"]))
    assert mixed.name == "mixed"
    assert mixed.line == (
        "mixed (embedded with another recogniser; as configured): faster-whisper-base.en, "
        "smollm2-135m-instruct, espeak-ng"
    )
    own = choose_profile(settings("auto", **OWN))
    assert own.name == "own"
    assert own.line == (
        "own (every stage is set): faster-whisper-base.en, qwen2.5-0.5b-instruct, "
        "piper-en-gb-alan-low"
    )
    same = choose_profile(settings("embedded", asr={"engine": "pocketsphinx"}))
    assert (same.name, same.reason) == ("embedded", "as configured")


def test_the_reason_speaks_only_of_stages_that_are_used() -> None:
    around = Surroundings(frozenset(), hub_answers=True, machine=LAPTOP)
    whole = choose_profile(settings("auto"), around)
    assert "final transcript" in whole.reason
    assert "a token in" in whole.reason
    without = choose_profile(settings("auto", asr={"model": "pocketsphinx"}), around)
    assert "final transcript" not in without.reason
    assert "a token in" in without.reason


def test_offline_is_the_reason_where_the_hub_was_not_asked(tmp_path: Path) -> None:
    offline = Settings(models=ModelsSettings(dir=tmp_path, offline=True))
    around = look_around(offline, ModelStore(tmp_path), ask_hub=refuse, measure=measure)
    chosen = choose_profile(offline, around)
    assert chosen.reason == "models.offline is set and none of a hub's models are here"


def test_stages_that_need_no_hub_are_not_asked_for(tmp_path: Path) -> None:
    engines = {
        "asr": {"engine": "pocketsphinx"},
        "llm": {"engine": "openai"},
        "tts": {"engine": "espeak"},
    }
    store = ModelStore(tmp_path)
    assert look_around(settings("auto", **engines), store, ask_hub=refuse, measure=measure) is None


def test_a_model_of_the_users_own_is_named_without_its_folder(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_text("{}")
    chosen = choose_profile(settings(asr={"model": str(tmp_path)}))
    assert str(tmp_path) not in chosen.line
    assert tmp_path.name in chosen.line


def test_the_profile_gpu_without_a_card_is_warned_of() -> None:
    (warning,) = device_warnings(settings("gpu"), lambda: False)
    assert "take the profile cpu or auto" in warning
    assert device_warnings(settings("gpu"), lambda: True) == ()
    assert device_warnings(settings("cpu"), refuse) == ()


def test_a_speed_that_no_server_is_told_is_warned_of() -> None:
    (warning,) = choose_profile(settings("remote", tts={"speed": 1.2})).warnings
    assert warning.startswith("tts.speed is nothing that Wyoming can tell")
    assert choose_profile(settings("embedded", tts={"speed": 1.2})).warnings == ()
