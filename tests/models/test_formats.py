from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.errors import ModelDamagedError, ModelUnsafeError
from voicebot.models.formats import check_format, has_safe_name

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
SAFETENSORS = struct.pack("<Q", len(HEADER)) + HEADER
CTRANSLATE2 = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(32)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.onnx", b"\x08\x07rest"),
        ("a.gguf", b"GGUF\x03\0\0\0"),
        ("a.safetensors", SAFETENSORS),
        ("a.json", b'{"a": 1}'),
        ("a.txt", "wörter\n".encode()),
        ("a.model", b"\x0a\x0e"),
    ],
)
def test_data_formats_pass(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    check_format(tmp_path / name)
    assert has_safe_name(name)


@pytest.mark.parametrize(
    "name", ["a.pt", "a.pth", "a.bin", "a.pkl", "a.py", "a.so", "a.ckpt", "a.onnx", "a.json", "a"]
)
@pytest.mark.parametrize("content", [b"\x80\x02pickle", b"PK\x03\x04zip", b"\x7fELF", b"#!/bin/sh"])
def test_code_is_refused_whatever_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnsafeError):
        check_format(tmp_path / name)


@pytest.mark.parametrize("name", ["a.onnx", "a.gguf", "a.safetensors", "a.json", "a.model"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0\0", b"<html>\0not found</html>"])
def test_other_content_is_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelDamagedError):
        check_format(tmp_path / name)


def test_cut_safetensors_header_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(SAFETENSORS[:-1])
    with pytest.raises(ModelDamagedError):
        check_format(tmp_path / "a.safetensors")


def test_bin_is_let_in_only_as_ctranslate2_beside_its_config(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(CTRANSLATE2)
    with pytest.raises(ModelUnsafeError):
        check_format(path)
    (tmp_path / "config.json").write_text(json.dumps({}))
    check_format(path)
    path.write_bytes(b"(dp0\nS'protocol 0 pickle'\n.")
    with pytest.raises(ModelUnsafeError):
        check_format(path)


@given(protocol=st.integers(2, 5), rest=st.binary(max_size=64))
def test_no_pickle_passes_under_any_safe_name(
    tmp_path_factory: pytest.TempPathFactory, protocol: int, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("formats") / "model.onnx"
    path.write_bytes(bytes([0x80, protocol]) + rest)
    with pytest.raises(ModelUnsafeError):
        check_format(path)
