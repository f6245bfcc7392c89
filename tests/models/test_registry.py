from __future__ import annotations

import pytest

from voicebot.errors import ConfigError
from voicebot.models.estimate import table_estimate
from voicebot.models.registry import (
    MODELS,
    PROFILES,
    HubSource,
    default_model,
    find_model,
    piper_voice,
    profiles_of,
    voice_for,
)


@pytest.mark.parametrize("name", ["Smart-Turn", "§"])
def test_unknown_name_is_a_setting_error(name: str) -> None:
    with pytest.raises(ConfigError):
        find_model(name)


def test_profiles_of_a_model() -> None:
    assert profiles_of("silero-vad-v6") == ("embedded", "cpu", "gpu")
    assert profiles_of("all-minilm-l6-v2") == ()


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_hub_profiles_serve_each_language(profile: str, language: str) -> None:
    for role in ("asr", "llm", "tts"):
        model = MODELS[default_model(profile, role, language)]
        assert model.role == role
        assert model.serves(language)


def test_every_role_comes_in_several_sizes_with_size_and_licence() -> None:
    for role in ("asr", "llm", "tts"):
        models = [one for one in MODELS.values() if one.role == role]
        assert len(models) > 9
        for model in models:
            assert model.licence
            assert table_estimate(model)[0] is not None


def test_what_was_read_says_where() -> None:
    for model in MODELS.values():
        if isinstance(model.source, HubSource) and model.role in {"asr", "llm"}:
            assert model.read_from.startswith("https://huggingface.co/")


def test_piper_names_lead_to_their_files() -> None:
    voice = piper_voice("en_GB-northern_english_male-medium")
    assert voice is not None
    assert voice.entry == (
        "en/en_GB/northern_english_male/medium/en_GB-northern_english_male-medium.onnx"
    )
    assert voice.name in MODELS
    assert piper_voice("lessac") is None


def test_a_voice_is_high_where_there_is_one() -> None:
    assert voice_for("de", high=True) == "piper-de-de-thorsten-high"
    assert voice_for("fr", high=True) == "piper-fr-fr-siwis-medium"
    assert voice_for("xx") == "espeak-ng"


def test_the_default_profiles_hold_known_models() -> None:
    assert {name for members in PROFILES.values() for name in members} <= MODELS.keys()
