"""Model files out of Hugging Face repositories, held to what the first download recorded."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol, TypeVar

from voicebot.errors import ModelDamagedError, ModelFetchError, ModelUnsafeError
from voicebot.models.formats import has_safe_name
from voicebot.models.lock import LockedModel
from voicebot.models.verify import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.models.registry import HubSource

__all__ = ["Hub", "HubFile", "HubListing", "HuggingFaceHub", "check_locked", "choose_files"]

_LIST_TIMEOUT_S = 20.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository.

    Attributes:
        name: its path in the repository.
        size_bytes: its size, or None if the hub does not say.
        sha256: its checksum, or None if the hub does not say (it does for large files).
    """

    name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class HubListing:
    """What a repository holds at one commit."""

    revision: str
    files: tuple[HubFile, ...]


class Hub(Protocol):
    """A place that repositories are downloaded from."""

    def list_files(self, repository: str, revision: str | None) -> HubListing:
        """What ``repository`` holds at ``revision`` (None: the newest).

        Raises:
            ModelFetchError: the hub does not answer, or has no such repository.
        """
        ...

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        """Put the file ``name`` below ``folder`` and give its path.

        Raises:
            ModelFetchError: the hub does not answer, or has no such file.
        """
        ...


class HuggingFaceHub:
    """The public hub, or the one that the variable ``HF_ENDPOINT`` names."""

    def list_files(self, repository: str, revision: str | None) -> HubListing:
        """What ``repository`` holds at ``revision`` (None: the newest).

        Raises:
            ModelFetchError: the hub does not answer, or has no such repository.
        """
        import huggingface_hub  # noqa: PLC0415 (slow to import; needed only here)

        info = _asking(
            repository,
            lambda: huggingface_hub.HfApi().model_info(
                repository, revision=revision, timeout=_LIST_TIMEOUT_S, files_metadata=True
            ),
        )
        if info.sha is None:
            raise ModelFetchError(f"the model hub names no commit for {repository}")
        files = tuple(
            HubFile(entry.rfilename, entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in info.siblings or ()
        )
        return HubListing(info.sha, files)

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        """Put the file ``name`` below ``folder`` and give its path.

        Raises:
            ModelFetchError: the hub does not answer, or has no such file.
        """
        import huggingface_hub  # noqa: PLC0415 (slow to import; needed only here)

        _asking(
            repository,
            lambda: huggingface_hub.hf_hub_download(
                repository, name, revision=revision, local_dir=folder
            ),
        )
        return folder / name


def choose_files(
    source: HubSource, listing: HubListing, locked: LockedModel | None
) -> tuple[HubFile, ...]:
    """The files to take: those locked, or on the first download those the patterns name.

    Raises:
        ModelUnsafeError: one of them has the name of a format that may carry code, or a path
            that leads out of the folder.
        ModelFetchError: there are none, or one that is locked is gone.
    """
    present = {file.name: file for file in listing.files}
    if locked is not None:
        if gone := sorted(locked.files.keys() - present.keys()):
            raise ModelFetchError(f"{source.repository} no longer has {gone[0]}")
        chosen = tuple(present[name] for name in sorted(locked.files))
    else:
        chosen = tuple(
            file
            for file in listing.files
            if any(fnmatchcase(file.name, pattern) for pattern in source.patterns)
        )
    if not chosen:
        raise ModelFetchError(f"{source.repository} has none of {', '.join(source.patterns)}")
    for file in chosen:
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts or "\\" in file.name:
            raise ModelUnsafeError(f"{source.repository} names a file outside of it: {file.name}")
        if not has_safe_name(file.name):
            raise ModelUnsafeError(
                f"{file.name} of {source.repository} is of a format that may carry code"
            )
    return chosen


def check_locked(
    source: HubSource,
    revision: str,
    files: tuple[HubFile, ...],
    locked: LockedModel | None,
    folder: Path,
) -> LockedModel:
    """Hold downloaded files to the hub's own checksums and to those of the first download.

    Returns:
        What there is to record.

    Raises:
        ModelDamagedError: a checksum differs.
    """
    checksums = {}
    for file in files:
        found = sha256_of(folder / file.name)
        expected = {file.sha256, locked.files.get(file.name) if locked else None} - {None}
        if expected - {found}:
            raise ModelDamagedError(
                f"{file.name} of {source.repository} has the checksum {found[:12]}… "
                f"instead of {min(str(one) for one in expected - {found})[:12]}…",
                "try again; if the change is wanted, delete the model's entry in the lock file",
            )
        checksums[file.name] = found
    return LockedModel(source.repository, revision, checksums)


def _asking(repository: str, ask: Callable[[], _Answer]) -> _Answer:
    """Run ``ask`` and turn what the hub's library raises into one clear line."""
    from huggingface_hub import errors  # noqa: PLC0415 (slow to import; needed only here)

    try:
        return ask()
    except errors.GatedRepoError as error:
        raise ModelFetchError(
            f"{repository} asks for consent first", "agree on its page, then run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelFetchError(f"the model hub has no {repository}") from error
    except errors.RevisionNotFoundError as error:
        raise ModelFetchError(f"{repository} no longer has the recorded commit") from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelFetchError(
            f"{repository} was not fetched: offline mode is on", "unset HF_HUB_OFFLINE"
        ) from error
    except (
        errors.HTTPError,  # type: ignore[attr-defined] # of the HTTP client that it goes with
        errors.LocalEntryNotFoundError,
        errors.XetDownloadError,
    ) as error:
        raise ModelFetchError(
            f"the model hub does not answer for {repository}",
            "look at the network, or use the profile `embedded`, which needs no hub",
        ) from error
