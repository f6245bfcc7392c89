from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from voicebot.choice import StageChoice
from voicebot.cli.context import CliContext
from voicebot.cli.voices import voices_command
from voicebot.config import ModelsSettings, Settings, TtsSettings
from voicebot.models.lock import LockedModel, write_locked
from voicebot.models.registry import MODELS
from voicebot.models.store import ModelStore
from voicebot.voices import language_warnings


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    tool = Path(__file__).parents[2] / "tools" / "make_tiny_piper.py"
    spec = importlib.util.spec_from_file_location("make_tiny_piper", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path / "mine.onnx"
    module.write_tiny_voice(path, language="de", speakers=("anna", "[b]ert"))
    return path


def listed(tmp_path: Path, *arguments: str, model: str = "") -> str:
    settings = Settings(
        models=ModelsSettings(dir=tmp_path / "models"), tts=TtsSettings(model=model)
    )
    console = Console(file=io.StringIO(), width=140)
    context = CliContext(
        settings=settings, origins={}, console=console, error_console=Console(file=io.StringIO())
    )
    result = CliRunner().invoke(voices_command, arguments, obj=context, catch_exceptions=False)
    assert result.exit_code == 0
    file: Any = console.file
    return str(file.getvalue()) + result.output


def rows(tmp_path: Path, *arguments: str, model: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(listed(tmp_path, "--json", *arguments, model=model))
    return found


def test_every_voice_of_the_table_and_of_espeak(tmp_path: Path) -> None:
    found = rows(tmp_path)
    piper = [row for row in found if row["engine"] == "piper"]
    assert {row["name"] for row in piper} == {
        name for name, model in MODELS.items() if model.engine == "piper"
    }
    assert {row["state"] for row in piper} == {"absent"}
    assert {"de", "es", "en-us"} <= {row["name"] for row in found if row["engine"] == "espeak"}
    (lessac,) = (row for row in piper if row["name"] == "piper-en-us-lessac-medium")
    assert lessac["quality"] == "medium"
    assert lessac["speakers"] is None


def test_a_language_stands_for_its_regions(tmp_path: Path, voice: Path) -> None:
    german = rows(tmp_path, "--language", "de", model=str(voice))
    assert german[0]["name"] == str(voice)
    assert german[0]["speaker_names"] == ["anna", "[b]ert"]
    assert german[0]["speakers"] == 2
    assert all(row["languages"][0].lower().startswith("de") for row in german)
    american = rows(tmp_path, "--language", "en-US")
    assert {"piper-en-us-lessac-medium", "en-us"} <= {row["name"] for row in american}
    assert "en-gb" not in {row["name"] for row in american}
    assert rows(tmp_path, "--language", "xx") == []


def test_the_table(tmp_path: Path, voice: Path) -> None:
    text = listed(tmp_path, "--language", "de", model=str(voice))
    assert "mine.onnx" in text
    assert "2: anna, [b]ert" in text
    assert "German" in text
    assert "No voice speaks xx" in listed(tmp_path, "--language", "xx")


def test_a_broken_voice_is_listed_as_such(tmp_path: Path, voice: Path) -> None:
    voice.with_name(voice.name + ".json").unlink()
    assert rows(tmp_path, model=str(voice))[0]["state"] == "damaged"


def test_a_fetched_voice_outside_the_table_is_listed_with_its_quality(tmp_path: Path) -> None:
    locked = LockedModel("rhasspy/piper-voices", "c" * 40, {"a": "0"})
    write_locked(tmp_path / "models" / "models.lock.json", "ca_ES-upc_pau-x_low", locked)
    found = {row["name"]: row for row in rows(tmp_path) if row["engine"] == "piper"}
    (other,) = found.keys() - MODELS.keys()
    assert (other, found[other]["quality"]) == ("piper-ca-es-upc_pau-x_low", "x-low")
    assert found[other]["languages"] == ["ca-ES"]


def test_a_voice_of_the_users_own_that_speaks_another_language_is_warned_of(
    tmp_path: Path, voice: Path
) -> None:
    store = ModelStore(tmp_path / "models")
    stage = StageChoice("piper", str(voice))
    (warning,) = language_warnings(store, stage, "en")
    assert warning == "the voice mine.onnx speaks de_DE, and the conversation is in en"
    assert language_warnings(store, stage, "de-AT") == ()
    assert language_warnings(store, StageChoice("espeak", "espeak-ng"), "en") == ()
