from __future__ import annotations

import pytest

from voicebot.errors import ConfigError
from voicebot.models.registry import PROFILES, find_model, profiles_of, resolve_names


def test_names_and_profiles_mix_without_doubles() -> None:
    names = resolve_names(["espeak-ng", "embedded", "all-minilm-l6-v2"])
    assert names[0] == "espeak-ng"
    assert sorted(names) == sorted({*PROFILES["embedded"], "all-minilm-l6-v2"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("embeded", "did you mean embedded"),
        ("Smart-Turn", "smart-turn-v3.2"),
        ("§", "voicebot models list"),
    ],
)
def test_unknown_name_is_a_setting_error_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_names([name])
    assert hint in str(caught.value)
    with pytest.raises(ConfigError):
        find_model(name)


def test_profiles_of_a_model() -> None:
    assert profiles_of("silero-vad-v6") == ("embedded", "cpu")
    assert profiles_of("all-minilm-l6-v2") == ()
