from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voicebot.choice import StageChoice
from voicebot.errors import ConfigError
from voicebot.wyoming_service.offer import recognition_offer, synthesis_offer
from voicebot.wyoming_service.wishes import check_model, check_voice

if TYPE_CHECKING:
    from pathlib import Path

RECOGNITION = recognition_offer(StageChoice("pocketsphinx", "pocketsphinx-en-us"), "en")
SPEECH = synthesis_offer(StageChoice("espeak", "espeak-ng"), "en-us", "en")


@pytest.mark.parametrize(
    "data", [{}, {"name": "pocketsphinx-en-us"}, {"language": "en"}, {"language": "en-GB"}]
)
def test_what_is_on_offer_may_be_asked_for(data: dict[str, Any]) -> None:
    check_model(data, RECOGNITION)


@pytest.mark.parametrize("data", [{"name": "other"}, {"language": "de"}, {"name": 7}])
def test_another_model_or_language_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        check_model(data, RECOGNITION)


@pytest.mark.parametrize(
    "voice", [None, {}, {"name": "espeak-en-us"}, {"language": "en"}, {"speaker": None}]
)
def test_the_voice_on_offer_may_be_asked_for(voice: Any) -> None:
    check_voice({"text": "x", "voice": voice}, SPEECH)


@pytest.mark.parametrize("voice", [{"name": "bert"}, {"speaker": "low"}, {"language": "fr"}])
def test_another_voice_is_refused(voice: Any) -> None:
    with pytest.raises(ConfigError):
        check_voice({"text": "x", "voice": voice}, SPEECH)


def test_a_model_of_the_owners_own_is_offered_without_its_path(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_text("{}")
    offer = recognition_offer(StageChoice("faster-whisper", str(tmp_path)), "de")
    (model,) = offer.models
    assert model.name == tmp_path.name
    assert model.languages == ["de"]
    assert "owner" in model.attribution.name
    assert str(tmp_path) not in str(offer.to_dict())
