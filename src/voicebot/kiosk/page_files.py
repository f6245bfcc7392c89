"""The page's files, read once; what is not in the table does not exist."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PageFile", "read_page_files"]

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file: its bytes, media type and entity tag."""

    data: bytes
    media_type: str
    etag: str


def read_page_files() -> Mapping[str, PageFile]:
    """All files of the page, by name."""
    files = {}
    for entry in resources.files("voicebot.kiosk").joinpath("page").iterdir():
        media_type = _TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None:
            data = entry.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
            files[entry.name] = PageFile(data, media_type, etag)
    return files
