from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.engines.whisper_decoder import WhisperDecoder
from voicebot.engines.whisper_files import check_whisper_folder
from voicebot.errors import (
    ConfigError,
    ModelDamagedError,
    ModelMissingError,
    ModelUnsafeError,
    VoicebotError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(untrained_whisper: Path, tmp_path: Path) -> Path:
    return shutil.copytree(untrained_whisper, tmp_path / "mine")


def refused(folder: Path, kind: type[VoicebotError], match: str) -> None:
    with pytest.raises(kind, match=match) as caught:
        check_whisper_folder(folder)
    assert "\n" not in str(caught.value)
    assert caught.value.way_out


def test_a_whole_one_passes(folder: Path) -> None:
    check_whisper_folder(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", ModelMissingError, "no model folder")


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_file_that_is_not_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, ModelMissingError, f"no {name}")


def test_a_transformers_checkpoint(folder: Path) -> None:
    (folder / "model.bin").rename(folder / "model.safetensors")
    refused(folder, ConfigError, "transformers checkpoint")
    (folder / "config.json").write_text('{"model_type": "whisper"}', encoding="utf-8")
    refused(folder, ConfigError, "transformers checkpoint")
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    refused(folder, ConfigError, "another kind .llama.")


def test_a_language_model(folder: Path) -> None:
    content = (folder / "model.bin").read_bytes()
    name = b"TransformerDecoderModelSpec\0"
    other = content[:4] + len(name).to_bytes(2, "little") + name + content[18:]
    (folder / "model.bin").write_bytes(other)
    refused(folder, ConfigError, "another kind")


def test_a_pickle(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"\x80\x04\x95" + bytes(100))
    refused(folder, ModelUnsafeError, "pickle")


@pytest.mark.parametrize("length", [0, 4])
def test_an_empty_model(folder: Path, length: int) -> None:
    os.truncate(folder / "model.bin", length)
    refused(folder, ModelUnsafeError, "not a CTranslate2 model")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocabulary.json", "[]"),
        ("vocabulary.json", "{}"),
        ("vocabulary.json", json.dumps(["a"] * 3000)),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[1]"),
        ("config.json", "{}"),
        ("config.json", "[]"),
        ("config.json", '{"suppress_ids": 1, "suppress_ids_begin": []}'),
        ("config.json", '{"suppress_ids": [999999], "suppress_ids_begin": []}'),
        ("config.json", '{"suppress_ids": [], "suppress_ids_begin": [], "alignment_heads": [1]}'),
        ("config.json", "{"),
    ],
)
def test_files_that_hold_something_else(folder: Path, name: str, content: str) -> None:
    # CTranslate2 ends the whole process over some of these.
    (folder / name).write_text(content, encoding="utf-8")
    refused(folder, ModelDamagedError, name)


@pytest.mark.parametrize("length", [30, 3_000, -1])
def test_a_truncated_model_is_told_when_it_is_loaded(folder: Path, length: int) -> None:
    size = (folder / "model.bin").stat().st_size
    os.truncate(folder / "model.bin", length % size)
    with pytest.raises(ModelDamagedError, match="cannot be loaded"):
        WhisperDecoder.load(folder)


def test_garbled_side_files_are_told_when_it_is_loaded(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelDamagedError, match="cannot be loaded"):
        WhisperDecoder.load(folder)


@pytest.mark.parametrize("content", [None, '{"feature_size": 128}'])
def test_the_model_says_how_many_mel_bands_it_wants(folder: Path, content: str | None) -> None:
    path = folder / "preprocessor_config.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    WhisperDecoder.load(folder).decode(np.zeros(16_000, np.float32), "")


def test_older_models_have_their_vocabulary_as_text(folder: Path) -> None:
    path = folder / "vocabulary.json"
    tokens = json.loads(path.read_text(encoding="utf-8"))
    path.with_suffix(".txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    path.unlink()
    WhisperDecoder.load(folder).decode(np.zeros(16_000, np.float32), "")
