from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from voicebot.bench.models_used import models_used
from voicebot.choice import choose_profile
from voicebot.config import Settings


class Store:
    def facts(self, name: str) -> Any:
        return SimpleNamespace(
            role="any", name=name, source="wheel", sha256="0" * 64, licence="MIT"
        )


def test_each_fallback_stands_behind_its_first_and_is_marked() -> None:
    settings = Settings.model_validate(
        {
            "profile": "remote",
            "asr": {"fallback": "pocketsphinx"},
            "llm": {"model": "big", "fallback": "auto"},
        }
    )
    runs_as = {"asr": "base.en", "llm": "", "tts": ""}
    used = models_used(choose_profile(settings), settings, cast("Any", Store()), runs_as)
    assert [(one.name, one.is_fallback) for one in used[2:]] == [
        ("base.en", False),
        ("pocketsphinx-en-us", True),
        ("big", False),
        ("smollm2-135m-instruct", True),
        ("the server's choice", False),
    ]
    assert used[2].source == settings.asr.url


def test_what_runs_a_model_is_recorded() -> None:
    settings = Settings(profile="embedded")
    runs_as = {"llm": "onnx on cpu"}
    used = models_used(choose_profile(settings), settings, cast("Any", Store()), runs_as)
    assert [one.runs_as for one in used] == ["", "", "", "onnx on cpu", ""]
