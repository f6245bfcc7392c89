from __future__ import annotations

import errno
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voicebot.engines.chat_prompt import ChatPrompt
from voicebot.engines.protocols import Message
from voicebot.errors import EngineError, ModelDamagedError, ModelFetchError, ModelMissingError
from voicebot.models.convert import convert_gguf


def tiny() -> Any:
    path = Path(__file__).parents[2] / "tools" / "make_tiny_llm.py"
    spec = importlib.util.spec_from_file_location("make_tiny_llm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    tiny().write_tiny_gguf(file, seed=3)
    return file


def test_the_folder_holds_the_same_model_and_tokenizer(
    gguf_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "models" / "tiny"
    convert_gguf(gguf_file, target)
    assert capfd.readouterr() == ("", "")
    tiny().write_tiny_llm(tmp_path / "original", seed=3)
    original = load_file(tmp_path / "original" / "model.safetensors")
    converted = load_file(target / "model.safetensors")
    assert converted.keys() == original.keys()
    for name, weight in original.items():
        assert torch.equal(converted[name], weight.bfloat16()), name
    messages = [Message("user", "What  is the hé 😀?"), Message("assistant", "a joke")]
    assert ChatPrompt.load(target).tokens(messages) == ChatPrompt.load(
        tmp_path / "original"
    ).tokens(messages)
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    convert_gguf(tmp_path / "absent.gguf", tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_no_file_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        convert_gguf(tmp_path / "absent.gguf", tmp_path / "model")


def test_a_foreign_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelDamagedError, match="not a GGUF file"):
        convert_gguf(tmp_path / "a.gguf", tmp_path / "model")


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_a_truncated_file_is_damaged_and_leaves_nothing(
    gguf_file: Path, tmp_path: Path, share: float
) -> None:
    content = gguf_file.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelDamagedError):
        convert_gguf(tmp_path / "cut.gguf", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.gguf"]


def test_a_full_disk_has_a_way_out_and_leaves_nothing(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ModelFetchError, match="No space left"):
        convert_gguf(gguf_file, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_not_a_damaged_file(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", fail)
    with pytest.raises(EngineError, match="not enough memory"):
        convert_gguf(gguf_file, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
