from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from tiny_llm import tiny
from voicebot.builders.llm import llm_factory
from voicebot.choice import choose_profile
from voicebot.config import Settings
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.protocols import Message, TextPiece
from voicebot.errors import ConfigError, ModelDamagedError, ModelError, ModelMissingError
from voicebot.models.llama_shape import GRAPH_NAME
from voicebot.models.local_folder import add_graph, prepared_folder
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = Message("user", "What is the capital of France?")


def reply(llm: LocalLlm) -> str:
    steps = llm.generate([QUESTION], threading.Event())
    return "".join(step.text for step in steps if isinstance(step, TextPiece))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_a_gguf_file_says_what_its_safetensors_say(tmp_path: Path, kind: str) -> None:
    tiny().write_tiny_gguf(tmp_path / "tiny.gguf", seed=4, kind=kind)
    original = tmp_path / "original"
    if kind == "llama":
        tiny().write_tiny_llm(original, seed=4)
    else:
        tiny().write_tiny_of_kind(original, kind, seed=4)
    folder = prepared_folder(tmp_path / "tiny.gguf")
    options = {"threads": 1, "max_tokens": 8, "precision": "bfloat16", "network": "transformers"}
    texts = [reply(LocalLlm.load(one, **options)) for one in (folder, original)]  # type: ignore[arg-type]
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize("quantisation", ["Q8_0", "Q4_1"])
def test_a_quantised_file_is_converted_once_and_gets_a_graph(
    tmp_path: Path, quantisation: str
) -> None:
    file = tmp_path / "tiny.gguf"
    tiny().write_tiny_gguf(file, kind="qwen2", quantisation=quantisation)
    folder = prepared_folder(tmp_path)
    add_graph(folder)
    made = (folder / GRAPH_NAME).stat().st_mtime_ns
    assert prepared_folder(file) == folder
    add_graph(folder)
    assert (folder / GRAPH_NAME).stat().st_mtime_ns == made
    llm = LocalLlm.load(folder, threads=1, max_tokens=8)
    assert isinstance(llm._network, OnnxNetwork)
    assert reply(llm)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["tiny.gguf", "tiny.gguf.voicebot"]


def test_a_newer_file_is_converted_again(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    tiny().write_tiny_gguf(file, seed=1)
    folder = prepared_folder(file)
    weights = (folder / "model.safetensors").read_bytes()
    tiny().write_tiny_gguf(file, seed=2)
    later = folder.stat().st_mtime + 10
    os.utime(file, (later, later))
    assert (prepared_folder(file) / "model.safetensors").read_bytes() != weights


def test_a_folder_that_cannot_be_written_to_is_used_without_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny().write_tiny_llm(tmp_path)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("voicebot.models.local_folder.tempfile.TemporaryDirectory", refuse)
    add_graph(tmp_path)
    assert not (tmp_path / GRAPH_NAME).exists()


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        prepared_folder(tmp_path / "absent")
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ModelDamagedError):
        prepared_folder(tmp_path)
    (tmp_path / "b.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ModelError, match=r"a\.gguf, b\.gguf"):
        prepared_folder(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelDamagedError, match="not a GGUF file"):
        prepared_folder(tmp_path / "model.bin")


@pytest.mark.parametrize("name", ["tiny.gguf", "folder"])
def test_a_path_serves_as_the_setting_of_the_model(tmp_path: Path, name: str) -> None:
    tiny().write_tiny_gguf(tmp_path / "tiny.gguf")
    tiny().write_tiny_llm(tmp_path / "folder")
    settings = Settings.model_validate(
        {"llm": {"model": str(tmp_path / name), "max_tokens": 6, "temperature": 0.7, "seed": 1}}
    )
    chosen = choose_profile(settings)
    llm = llm_factory(chosen.llm, settings, ModelStore(tmp_path / "store"))()
    assert isinstance(llm, LocalLlm)
    assert isinstance(llm._network, OnnxNetwork)
    assert reply(llm)


def test_a_path_that_is_not_there_is_told() -> None:
    settings = Settings.model_validate({"llm": {"model": "/nowhere/model.gguf"}})
    with pytest.raises(ConfigError, match=r"model\.gguf"):
        choose_profile(settings)
