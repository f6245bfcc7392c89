"""Whether a model's file is as long as it says itself: a download or a copy that broke off is not.

Nothing is loaded. The tables of contents are read, and every piece must end within the file. A
changed byte within a weight is not found in this way; only a checksum can tell that.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from voicebot.errors import ModelDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_whole"]

_CTRANSLATE2_FROM = 4
"""Older versions of ``model.bin`` write their variables in another way; they are let pass."""

_VARINT_BYTES = 10


def check_whole(path: Path) -> None:
    """Let ``path`` pass if nothing that it promises lies behind its end.

    Files whose whole content is read when their format is checked (JSON, text, safetensors) pass.

    Raises:
        ModelDamagedError: a part of it is missing, or its table of contents makes no sense.
    """
    if path.name == "model.bin":
        is_whole: Callable[[Path], bool] = _is_whole_ctranslate2
    elif path.suffix.lower() == ".onnx":
        is_whole = _is_whole_protobuf
    elif path.suffix.lower() == ".gguf":
        is_whole = _is_whole_gguf
    else:
        return
    try:
        whole = is_whole(path)
    except (struct.error, ValueError, IndexError, KeyError, OverflowError):
        whole = False
    if not whole:
        raise ModelDamagedError(
            f"{path.name} is cut off, or its table of contents is damaged", "fetch or copy it again"
        )


def _is_whole_ctranslate2(path: Path) -> bool:
    # As ``ModelSpec._serialize`` of the package writes it.
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        (version,) = _read(file, "<I")
        if version < _CTRANSLATE2_FROM:
            return True
        _skip_name(file)  # the specification's
        _, variables = _read(file, "<II")  # its revision; how many follow
        for _ in range(variables):
            _skip_name(file)
            (dimensions,) = _read(file, "<B")
            file.seek(4 * dimensions + 1, os.SEEK_CUR)  # the shape and the type
            (length,) = _read(file, "<I")
            if file.tell() + length > size_bytes:
                return False
            file.seek(length, os.SEEK_CUR)
        (aliases,) = _read(file, "<I")
        for _ in range(2 * aliases):
            _skip_name(file)
        return file.tell() == size_bytes


def _skip_name(file: BinaryIO) -> None:
    (length,) = _read(file, "<H")
    if len(file.read(length)) != length:
        raise ValueError(length)


def _read(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _is_whole_protobuf(path: Path) -> bool:
    # An ONNX model is one message; nearly all of it is one field, the graph.
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size_bytes:
            match _varint(file) & 7:
                case 0:  # a varint
                    _varint(file)
                case 1:  # eight bytes
                    file.seek(8, os.SEEK_CUR)
                case 2:  # bytes behind their length
                    length = _varint(file)
                    if file.tell() + length > size_bytes:
                        return False
                    file.seek(length, os.SEEK_CUR)
                case 5:  # four bytes
                    file.seek(4, os.SEEK_CUR)
                case _:
                    return False
        return file.tell() == size_bytes


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(_VARINT_BYTES):
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value
    raise ValueError(value)


def _is_whole_gguf(path: Path) -> bool:
    from gguf import GGUFReader  # noqa: PLC0415 (start-up time)

    size_bytes = path.stat().st_size
    tensors = GGUFReader(path).tensors
    return all(one.data_offset + one.n_bytes <= size_bytes for one in tensors)
