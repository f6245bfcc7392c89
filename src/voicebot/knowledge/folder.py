"""The folder that holds the bot's knowledge, read file by file and only as far as it changed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.errors import KnowledgeError
from voicebot.knowledge.hygiene import is_order, without_signs
from voicebot.knowledge.splitting import SplitError, split_csv, split_markdown, split_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicebot.knowledge.passages import Passage

__all__ = ["FolderContents", "KnowledgeFolder"]

_LARGEST_FILE_BYTES = 20_000_000
_SPLITTERS: Mapping[str, Callable[[str, str], list[Passage]]] = MappingProxyType(
    {".md": split_markdown, ".markdown": split_markdown, ".txt": split_text, ".csv": split_csv}
)


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What a folder held when it was read.

    Attributes:
        passages: of all files, in the order of their names.
        problems: a line for each thing that was left out, and why.
        files: how many files were read.
    """

    passages: tuple[Passage, ...]
    problems: tuple[str, ...]
    files: int


@dataclass(frozen=True, slots=True)
class _ReadFile:
    modified_ns: int
    size_bytes: int
    sha256: str
    passages: tuple[Passage, ...]
    problems: tuple[str, ...]


class KnowledgeFolder:
    """A folder of Markdown, text and CSV files; folders in it count, hidden ones do not.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, _ReadFile] | None = None

    def read_if_changed(self) -> FolderContents | None:
        """The contents, the first time and whenever they differ from what was read last.

        A file is opened only if its size or its time of change differs, and counts as changed only
        if its bytes do.

        Raises:
            KnowledgeError: the folder is not there or cannot be read.
        """
        files: dict[str, _ReadFile] = {}
        known = self._files or {}
        for name, path in self._found():
            file = _read(path, name, known.get(name))
            if file is not None:
                files[name] = file
        is_same = self._files is not None and {
            name: file.sha256 for name, file in files.items()
        } == {name: file.sha256 for name, file in known.items()}
        self._files = files
        if is_same:
            return None
        return FolderContents(
            tuple(passage for file in files.values() for passage in file.passages),
            tuple(problem for file in files.values() for problem in file.problems),
            len(files),
        )

    def forget(self) -> None:
        """Take everything for changed at the next look."""
        self._files = None

    def _found(self) -> list[tuple[str, Path]]:
        """Name and path of each file, in the order of their names."""
        if not self._path.is_dir():
            raise KnowledgeError(
                f"there is no folder {self._path}", "set knowledge.folder to a folder of files"
            )
        root = self._path.resolve()
        found = []
        try:
            for folder, folders, names in os.walk(root):
                folders[:] = [one for one in folders if not one.startswith(".")]
                for name in names:
                    path = Path(folder, name)
                    is_text = path.suffix.lower() in _SPLITTERS and not name.startswith(".")
                    # A link must not lead out of the folder that the operator chose.
                    if is_text and path.resolve().is_relative_to(root):
                        found.append((path.relative_to(root).as_posix(), path))
        except OSError as error:
            raise KnowledgeError(
                f"the folder {self._path} cannot be read: {error.strerror or error}",
                "let the program read it",
            ) from error
        return sorted(found)


def _read(path: Path, name: str, known: _ReadFile | None) -> _ReadFile | None:
    """The file, or None if it has gone."""
    try:
        facts = path.stat()
        stamp = (facts.st_mtime_ns, facts.st_size)
        if known is not None and stamp == (known.modified_ns, known.size_bytes):
            return known
        if facts.st_size > _LARGEST_FILE_BYTES:
            too_large = f"{name}: larger than {_LARGEST_FILE_BYTES // 1_000_000} MB, left out"
            return _ReadFile(*stamp, f"{stamp}", (), (too_large,))
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _ReadFile(0, 0, "unreadable", (), (f"{name}: {error.strerror or error}, left out",))
    sha256 = hashlib.sha256(content).hexdigest()
    if known is not None and known.sha256 == sha256:
        return _ReadFile(*stamp, sha256, known.passages, known.problems)
    passages, problems = _split(content, name, path.suffix.lower())
    return _ReadFile(*stamp, sha256, passages, problems)


def _split(content: bytes, name: str, suffix: str) -> tuple[tuple[Passage, ...], tuple[str, ...]]:
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            return (), (f"{name}: not text, left out",)
        passages = _SPLITTERS[suffix](text, name)
    except UnicodeDecodeError:
        return (), (f"{name}: not UTF-8 text, left out",)
    except SplitError as error:
        return (), (f"{name}: {error}, left out",)
    orders = [one for one in passages if is_order(f"{one.question} {one.text}")]
    kept = (_without_signs(one) for one in passages if one not in orders)
    return tuple(one for one in kept if one.text), tuple(
        f"{name}, line {one.line}: reads like an order to the bot, left out" for one in orders
    )


def _without_signs(passage: Passage) -> Passage:
    """``passage`` as it may be spoken and shown; the lines of code keep their form."""
    if passage.kind == "code":
        return passage
    question = without_signs(passage.question)
    return dataclasses.replace(passage, text=without_signs(passage.text), question=question)
