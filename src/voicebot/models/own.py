"""Models of the user's own: files anywhere on this machine, used where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.errors import ModelDamagedError
from voicebot.models.formats import check_format
from voicebot.models.layout import layout_of_file, recognise_layout
from voicebot.models.verify import folder_sha256, sha256_of
from voicebot.models.whole_files import check_whole

if TYPE_CHECKING:
    from voicebot.models.registry import LocalSource, Model

__all__ = ["check_own", "own_sha256"]


def check_own(model: Model, source: LocalSource) -> None:
    """Let the files of ``model`` pass only if they are of formats without code.

    Raises:
        ModelUnsafeError: one of them may carry code.
        ModelDamagedError: one of them is not what its name promises, or cannot be read.
    """
    try:
        for name in _names(model, source):
            check_format(source.path / name)
    except OSError as error:
        raise _unreadable(model, error) from error


def own_sha256(model: Model, source: LocalSource) -> str:
    """The one checksum of the files of ``model``, which are read whole.

    Nothing is known that it could be held to; what the files say of themselves must hold.

    Raises:
        ModelUnsafeError: one of them may carry code.
        ModelDamagedError: one of them cannot be read, or a part of it is missing.
    """
    check_own(model, source)
    try:
        for name in _names(model, source):
            check_whole(source.path / name)
        return folder_sha256(
            {name: sha256_of(source.path / name) for name in _names(model, source)}
        )
    except OSError as error:
        raise _unreadable(model, error) from error


def _names(model: Model, source: LocalSource) -> tuple[str, ...]:
    names = {item.name for item in source.path.iterdir() if item.is_file()}
    if model.entry:
        return layout_of_file(model.entry, names, str(source.path)).files
    return recognise_layout(names, str(source.path)).files


def _unreadable(model: Model, error: OSError) -> ModelDamagedError:
    return ModelDamagedError(f"{model.name} cannot be read: {error.strerror}")
