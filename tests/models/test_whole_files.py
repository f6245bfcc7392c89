from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import gguf
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from voicebot.errors import ModelDamagedError
from voicebot.models.store import ModelStore
from voicebot.models.whole_files import check_whole

if TYPE_CHECKING:
    from pathlib import Path


def _name(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def write_ctranslate2(path: Path) -> None:
    values = np.arange(6, dtype=np.float32)
    path.write_bytes(
        struct.pack("<I", 6)
        + _name("WhisperSpec")
        + struct.pack("<II", 3, 1)
        + _name("weight")
        + struct.pack("<BIIBI", 2, 2, 3, 0, values.nbytes)
        + values.tobytes()
        + struct.pack("<I", 1)
        + _name("alias")
        + _name("weight")
    )


def write_onnx(path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    total = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [value], [total], [weight])), path)


def write_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("a", np.ones((8, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


WRITERS = {"model.bin": write_ctranslate2, "a.onnx": write_onnx, "a.gguf": write_gguf}


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_passes_and_a_cut_one_does_not(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    check_whole(path)
    content = path.read_bytes()
    for kept in (len(content) - 1, len(content) // 2, 9):
        path.write_bytes(content[:kept])
        with pytest.raises(ModelDamagedError, match="is cut off"):
            check_whole(path)


@pytest.mark.parametrize("name", ["model.bin", "a.onnx", "a.gguf"])
@given(content=st.binary(max_size=200))
def test_any_bytes_pass_or_are_damaged(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("whole") / name
    path.write_bytes(content)
    try:
        check_whole(path)
    except ModelDamagedError as error:
        assert name in error.problem  # noqa: PT017 (both ends are right)


def test_verify_finds_a_cut_model_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    write_gguf(path)
    store = ModelStore(tmp_path / "models")
    assert store.verify(str(path)).is_own
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelDamagedError, match=r"a\.gguf is cut off"):
        store.verify(str(path))
