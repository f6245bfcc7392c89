from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.errors import ConfigError, ModelDamagedError
from voicebot.models.references import find_reference, folder_name, split_engine
from voicebot.models.registry import HubSource, LocalSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("faster-whisper-base.en", "faster-whisper-base.en"),
        ("faster-whisper:base.en", "faster-whisper-base.en"),
        ("base.en", "faster-whisper-base.en"),
        ("piper:en-us-lessac-medium", "piper-en-us-lessac-medium"),
        ("en_US-lessac-medium", "piper-en-us-lessac-medium"),
        ("piper:nl_NL-mls-medium", "piper-nl-nl-mls-medium"),
        ("transformers:qwen2.5-0.5b-instruct", "qwen2.5-0.5b-instruct"),
        ("espeak:espeak-ng", "espeak-ng"),
        ("some/repository", "some/repository"),
        ("faster-whisper:some/repository", "some/repository"),
    ],
)
def test_all_forms_of_a_name(reference: str, name: str) -> None:
    assert find_reference(reference).name == name


@pytest.mark.parametrize(
    ("reference", "engine", "rest"),
    [
        ("pocketsphinx", "pocketsphinx", ""),
        ("faster-whisper:base.en", "faster-whisper", "base.en"),
        ("qwen2.5-0.5b-instruct", "auto", "qwen2.5-0.5b-instruct"),
        ("openai:llama3.2:1b", "openai", "llama3.2:1b"),
        ("C:/models/a.gguf", "auto", "C:/models/a.gguf"),
    ],
)
def test_the_engine_is_split_off(reference: str, engine: str, rest: str) -> None:
    assert split_engine(reference) == (engine, rest)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("faster-whisper:bas.en", "faster-whisper-base.en"),
        ("smolm2-360m-instruct", "smollm2-360m-instruct"),
        ("§", "voicebot models list"),
        ("piper:", "ENGINE:MODEL"),
        ("not a name/at all", "voicebot models list"),
        ("../nowhere-at-all", "check the path"),
    ],
)
def test_what_nobody_is_called_has_a_hint(reference: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_reference(reference)
    assert hint in str(caught.value)


def test_a_repository_may_name_one_file() -> None:
    model = find_reference("owner/name/chat.Q4_K_M.gguf")
    assert (model.role, model.entry) == ("llm", "chat.Q4_K_M.gguf")
    assert model.source == HubSource("owner/name", ("chat.Q4_K_M.gguf",))
    voice = find_reference("owner/name/de/anna.onnx")
    assert voice.source == HubSource("owner/name", ("de/anna.onnx", "de/anna.onnx.json"))
    with pytest.raises(ModelDamagedError, match="no model file"):
        find_reference("owner/name/notes.txt")


def test_a_repository_is_unknown_until_it_was_fetched() -> None:
    model = find_reference("owner/name")
    assert (model.role, model.source) == ("unknown", HubSource("owner/name", None))
    assert folder_name(model.name) == "owner--name"


def test_a_path_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = tmp_path / "anna.onnx"
    voice.write_bytes(b"\x08\x07")
    with pytest.raises(ModelDamagedError, match=r"lacks its configuration anna\.onnx\.json"):
        find_reference(str(voice))
    (tmp_path / "anna.onnx.json").write_text("{}")
    model = find_reference(str(voice))
    assert (model.role, model.entry, model.licence) == ("tts", "anna.onnx", "unknown")
    assert model.source == LocalSource(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_reference("anna.onnx").name == str(voice)
    assert find_reference("piper:./anna.onnx").name == str(voice)


def test_a_folder_is_a_path_though_it_looks_like_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my" / "whisper"
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json"):
        (folder / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_reference("my/whisper").source == LocalSource(folder)


@pytest.mark.parametrize("name", ["ca_ES-upc_pau-x_low", "nl_NL-mls-medium"])
def test_a_voice_outside_the_table_is_found_by_the_name_it_is_kept_under(name: str) -> None:
    voice = find_reference(name)
    assert find_reference(voice.name) == voice
