"""Only file formats that cannot carry code, told by their content and not by their name alone.

Pickles (``.pt``, ``.pth``, torch's ``.bin``) run code when they are loaded. A file is let in only
if its name stands for a known data format and its content is that format.
"""

from __future__ import annotations

import json
import struct
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError, ModelUnsafeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_format", "has_safe_name"]

_HEAD_BYTES = 64
_PICKLE_PROTO = 0x80
_PICKLE_HIGHEST_PROTOCOL = 5
_MAX_TEXT_BYTES = 256 * 1024**2
_CTRANSLATE2_VERSIONS = range(1, 32)
_CODE_MAGIC = (
    (b"PK\x03\x04", "a zip archive (torch's own format holds pickles in one)"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"\x1f\x8b", "a gzip archive"),
)
_WAY_OUT = "take the model from a source that offers safetensors, GGUF, ONNX or CTranslate2"


def has_safe_name(name: str) -> bool:
    """Whether ``name`` (``/`` between parts) ends as a format without code does."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _CHECKS or path.name == "model.bin"


def check_format(path: Path) -> None:
    """Let ``path`` pass only if its name and its content are a format without code.

    Raises:
        ModelUnsafeError: the format may carry code, or is none that is known to carry none.
        ModelDamagedError: the content is not what the name promises.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if what := _code_in(head):
        raise ModelUnsafeError(f"{path.name} is {what}, which may carry code", _WAY_OUT)
    if path.name == "model.bin":
        recognises: Callable[[Path, bytes], bool] = _is_ctranslate2
    elif (suffix := path.suffix.lower()) in _CHECKS:
        recognises = _CHECKS[suffix]
    else:
        raise ModelUnsafeError(
            f"{path.name} is of no format that is known to hold no code", _WAY_OUT
        )
    if not recognises(path, head):
        if path.suffix.lower() == ".bin":
            raise ModelUnsafeError(f"{path.name} is not a CTranslate2 model", _WAY_OUT)
        raise ModelDamagedError(
            f"{path.name} is not the {path.suffix[1:]} file its name promises", "fetch it again"
        )


def _code_in(head: bytes) -> str | None:
    if len(head) > 1 and head[0] == _PICKLE_PROTO and 1 < head[1] <= _PICKLE_HIGHEST_PROTOCOL:
        return "a Python pickle"
    return next((what for magic, what in _CODE_MAGIC if head.startswith(magic)), None)


def _is_gguf(path: Path, head: bytes) -> bool:
    return head.startswith(b"GGUF") and path.stat().st_size > len(b"GGUF")


def _is_onnx(path: Path, head: bytes) -> bool:
    # A protobuf whose first field is ir_version (field 1, a varint): exporters write it first.
    return head.startswith(b"\x08") and path.stat().st_size > 1


def _is_safetensors(path: Path, head: bytes) -> bool:
    # Eight bytes: the length of the JSON header that follows; then the weights, to the last byte.
    length_bytes = 8
    if len(head) <= length_bytes or head[length_bytes : length_bytes + 1] != b"{":
        return False
    (header_bytes,) = struct.unpack_from("<Q", head)
    size_bytes = path.stat().st_size
    if header_bytes + length_bytes > min(size_bytes, _MAX_TEXT_BYTES):
        return False
    with path.open("rb") as file:
        file.seek(length_bytes)
        try:
            tensors = json.loads(file.read(header_bytes))
            ends = [one["data_offsets"][1] for one in tensors.values() if "data_offsets" in one]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return False
    return bool(length_bytes + header_bytes + max(ends, default=0) == size_bytes)


def _is_ctranslate2(path: Path, head: bytes) -> bool:
    # The converter writes: version (uint32), length (uint16) and name of the specification.
    start = struct.calcsize("<IH")
    if len(head) <= start or not path.with_name("config.json").is_file():
        return False
    version, length = struct.unpack_from("<IH", head)
    name = head[start : start + length]
    return (
        version in _CTRANSLATE2_VERSIONS
        and 1 < length <= _HEAD_BYTES - start
        and name.endswith(b"\0")
        and name[:-1].isalnum()
    )


def _is_sentencepiece(_path: Path, head: bytes) -> bool:
    # A protobuf whose first field is the list of pieces (field 1, length-delimited).
    return head.startswith(b"\x0a")


def _is_text(path: Path, _head: bytes) -> bool:
    if path.stat().st_size > _MAX_TEXT_BYTES:
        return False
    try:
        return "\0" not in path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False


def _is_json(path: Path, _head: bytes) -> bool:
    if path.stat().st_size > _MAX_TEXT_BYTES:
        return False
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[Path, bytes], bool]] = {
    ".gguf": _is_gguf,
    ".jinja": _is_text,  # a chat template: rendered in a sandbox by transformers
    ".json": _is_json,
    ".model": _is_sentencepiece,
    ".onnx": _is_onnx,
    ".safetensors": _is_safetensors,
    ".txt": _is_text,
}
