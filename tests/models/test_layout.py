from __future__ import annotations

import pytest

from voicebot.errors import ModelDamagedError, ModelUnsafeError
from voicebot.models.layout import Layout, layout_of_file, recognise_layout


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (
            {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt", "README.md"},
            Layout(
                "asr",
                "faster_whisper",
                ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
            ),
        ),
        (
            {
                "config.json",
                "model-00001-of-00001.safetensors",
                "consolidated.safetensors",
                "pytorch_model.bin",
                "onnx/model.onnx",
            },
            Layout("llm", "local_llm", ("config.json", "model-00001-of-00001.safetensors")),
        ),
        ({"a.Q4_K_M.gguf"}, Layout("llm", "local_llm", ("a.Q4_K_M.gguf",), "a.Q4_K_M.gguf")),
        (
            {"x/anna.onnx", "x/anna.onnx.json"},
            Layout("tts", "piper", ("x/anna.onnx", "x/anna.onnx.json"), "x/anna.onnx"),
        ),
    ],
)
def test_files_are_told_by_their_names(names: set[str], layout: Layout) -> None:
    assert recognise_layout(names, "somewhere") == layout


@pytest.mark.parametrize(
    ("names", "error", "line"),
    [
        ({"README.md"}, ModelDamagedError, "no model that voicebot can run"),
        ({"config.json", "pytorch_model.bin"}, ModelUnsafeError, "only in pytorch_model.bin"),
        ({"a.gguf", "b.gguf"}, ModelDamagedError, "somewhere/a.gguf"),
        ({"anna.onnx"}, ModelDamagedError, "lacks its configuration anna.onnx.json"),
        (set(), ModelDamagedError, "no model"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    names: set[str], error: type[Exception], line: str
) -> None:
    with pytest.raises(error, match=line):
        recognise_layout(names, "somewhere")


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(ModelDamagedError, match="no model file"):
        layout_of_file("notes.txt", {"notes.txt"}, "somewhere")


def test_a_whisper_without_its_config_is_told_so() -> None:
    with pytest.raises(ModelDamagedError, match=r"has a model\.bin and no config\.json"):
        recognise_layout({"model.bin", "vocabulary.txt", "tokenizer.json"}, "here")
