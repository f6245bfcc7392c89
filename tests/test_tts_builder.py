"""From settings to a synthesiser."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

import pytest

from voicebot.builders.tts import tts_factory
from voicebot.choice import StageChoice, choose_profile, is_path
from voicebot.config import Settings, TtsSettings
from voicebot.errors import ConfigError, ModelMissingError
from voicebot.models.store import ModelStore


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool = Path(__file__).parents[1] / "tools" / "make_tiny_piper.py"
    spec = importlib.util.spec_from_file_location("make_tiny_piper", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("voices") / "tiny.onnx"
    module.write_tiny_voice(path, speakers=("anna", "bert"))
    return path


def built(tmp_path: Path, **tts: Any) -> Any:
    settings = Settings(tts=TtsSettings(**tts))
    return tts_factory(choose_profile(settings).tts, settings, ModelStore(tmp_path))()


def length(tts: Any) -> int:
    return sum(len(chunk.samples) for chunk in tts.synthesise("Hello there.", threading.Event()))


def test_a_voice_file_is_taken_as_it_is(voice: Path, tmp_path: Path) -> None:
    for engine in ("auto", "piper"):
        tts = built(tmp_path, engine=engine, model=str(voice), speaker="bert", rhythm_variation=0.0)
        assert tts.sample_rate_hz == 22_050
        assert length(tts) > 10_000


def test_a_path_lies_on_this_machine(voice: Path) -> None:
    assert is_path(str(voice))
    assert not is_path("piper-en-us-lessac-medium")
    assert not is_path("owner/name-of-a-hub-model")
    settings = Settings(tts=TtsSettings(model=str(voice)))
    assert choose_profile(settings).tts == StageChoice("piper", str(voice))
    with pytest.raises(ConfigError, match="nobody"):
        choose_profile(Settings(tts=TtsSettings(engine="piper", model="/tmp/nobody.onnx")))  # noqa: S108 - it is not there


def test_threads_are_set_measured_or_half_of_the_cores(
    voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads(**tts: Any) -> int:
        session = built(tmp_path, model=str(voice), **tts)._voice._voice.session
        return int(session.get_session_options().intra_op_num_threads)

    monkeypatch.setattr("voicebot.builders.tts.usable_cores", lambda: 6)
    monkeypatch.setattr("voicebot.builders.tts.chosen_threads", lambda stage, model: None)
    assert threads() == 3
    assert threads(threads=2) == 2
    measured = {("tts", str(voice)): 5}
    monkeypatch.setattr(
        "voicebot.builders.tts.chosen_threads", lambda stage, model: measured.get((stage, model))
    )
    assert threads() == 5


def test_espeak_takes_no_voice_file(voice: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tts\.engine = espeak cannot run"):
        built(tmp_path, engine="espeak", model=str(voice))


def test_speed_is_one_setting_for_both_engines(voice: Path, tmp_path: Path) -> None:
    for how in ({"engine": "espeak"}, {"model": str(voice), "rhythm_variation": 0.0}):
        plain = length(built(tmp_path, **how))
        assert length(built(tmp_path, speed=2.0, **how)) < 0.75 * plain
        assert length(built(tmp_path, speed=0.5, **how)) > 1.3 * plain
    # Whatever the product, eSpeak NG gets a rate that it knows.
    assert length(built(tmp_path, engine="espeak", rate_wpm=450, speed=2.0))
    assert length(built(tmp_path, engine="espeak", rate_wpm=80, speed=0.5))


def test_a_voice_that_was_not_pulled(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="piper-en-us-lessac-medium") as caught:
        built(tmp_path, engine="piper", model="piper-en-us-lessac-medium")
    assert "models pull" in caught.value.way_out
