"""Model files out of Hugging Face repositories, held to what the first download recorded.

Everything goes through the hub's own client, so the variables that it reads hold here, too:
``HF_ENDPOINT`` (a mirror), ``HF_TOKEN``, ``HF_HUB_OFFLINE``, and those of the time limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from voicebot.errors import ModelDamagedError, ModelFetchError, ModelUnsafeError
from voicebot.models.formats import has_safe_name
from voicebot.models.layout import recognise_layout
from voicebot.models.lock import LockedModel
from voicebot.models.verify import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebot.models.registry import HubSource

__all__ = [
    "PARTIAL_SUFFIX",
    "Hub",
    "HubFile",
    "HubListing",
    "HuggingFaceHub",
    "check_locked",
    "choose_files",
]

PARTIAL_SUFFIX = ".partial"
"""Ends the name of a file that is not whole yet."""

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
    """What a repository holds at one commit, and the licence that its card names, if any."""

    revision: str
    files: tuple[HubFile, ...]
    licence: str = ""


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

        What a broken download of the same commit left in ``folder`` is gone on with.

        Raises:
            ModelFetchError: the hub does not answer, or has no such file.
            OSError: it cannot be written.
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
        # Repositories under a licence of their own call it "other", and name it beside.
        licence = getattr(info.card_data, "license_name", None)
        licence = licence or getattr(info.card_data, "license", None)
        return HubListing(info.sha, files, licence if isinstance(licence, str) else "")

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        """Put the file ``name`` below ``folder`` and give its path.

        What a broken download of the same commit left in ``folder`` is gone on with. The client's
        own ``hf_hub_download`` would begin anew, since it keeps nothing of a download that failed.

        Raises:
            ModelFetchError: the hub does not answer, or has no such file.
            OSError: it cannot be written.
        """
        target = folder / name
        if not target.exists():  # it is there only once it is whole
            _asking(repository, lambda: _download(repository, revision, name, target))
        return target


def _download(repository: str, revision: str, name: str, target: Path) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 (slow to import)
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import (  # type: ignore[attr-defined] # noqa: PLC0415 (a lazy module)
        are_progress_bars_disabled,
        build_hf_headers,
        disable_progress_bars,
        enable_progress_bars,
    )

    url = hf_hub_url(repository, name, revision=revision)
    headers = build_hf_headers()
    metadata = get_hf_file_metadata(url, headers=headers)
    if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is for the hub, not for its storage
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}{PARTIAL_SUFFIX}")
    bars = "huggingface_hub.http_get"
    had_bars = not are_progress_bars_disabled(bars)
    disable_progress_bars(bars)  # ours stands in their place
    try:
        with partial.open("ab") as file:
            here_bytes = file.tell()
            if metadata.size is None or here_bytes > metadata.size:
                file.truncate(0)
                here_bytes = 0
            if here_bytes != metadata.size:
                http_get(
                    metadata.location,
                    file,
                    resume_size=here_bytes,
                    headers=headers,
                    expected_size=metadata.size,
                )
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise ModelFetchError(
            f"the download of {name} from {repository} broke off",
            "run the same command again: it goes on where it stopped",
        ) from error
    finally:
        if had_bars:
            enable_progress_bars(bars)
    partial.replace(target)


def choose_files(
    source: HubSource, listing: HubListing, locked: LockedModel | None
) -> tuple[HubFile, ...]:
    """The files to take: those locked, or on the first download those the patterns name.

    Raises:
        ModelUnsafeError: one of them has the name of a format that may carry code, or a path
            that leads out of the folder.
        ModelDamagedError: what the repository holds is no model that voicebot can run.
        ModelFetchError: there are none, or one that is locked is gone.
    """
    present = {file.name: file for file in listing.files}
    if locked is not None:
        if gone := sorted(locked.files.keys() - present.keys()):
            raise ModelFetchError(f"{source.repository} no longer has {gone[0]}")
        chosen = tuple(present[name] for name in sorted(locked.files))
    elif source.patterns is None:
        chosen = tuple(present[name] for name in recognise_layout(present, source.repository).files)
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
    listing: HubListing,
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
    licence = listing.licence or (locked.licence if locked else "")
    return LockedModel(source.repository, listing.revision, checksums, licence)


def _asking(repository: str, ask: Callable[[], _Answer]) -> _Answer:
    """Run ``ask`` and turn what the hub's library raises into one clear line."""
    from huggingface_hub import errors  # noqa: PLC0415 (slow to import; needed only here)

    try:
        return ask()
    except errors.GatedRepoError as error:
        raise ModelFetchError(
            f"{repository} asks for consent first",
            f"agree at https://huggingface.co/{repository}, then run `hf auth login` or set "
            "HF_TOKEN",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelFetchError(
            f"the model hub has no {repository}",
            "check the name; a private repository needs HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelFetchError(f"{repository} no longer has the recorded commit") from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelFetchError(
            f"{repository} was not fetched: offline mode is on", "unset HF_HUB_OFFLINE"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _no_answer(repository) from error
    except errors.EntryNotFoundError as error:
        raise ModelFetchError(f"{repository} no longer has a file that it lists") from error
    except errors.HTTPError as error:  # type: ignore[attr-defined] # of the client's HTTP library
        raise _no_answer(repository) from error


def _no_answer(repository: str) -> ModelFetchError:
    return ModelFetchError(
        f"the model hub does not answer for {repository}",
        "look at the network and try again (a download goes on where it stopped), or use the "
        "profile `embedded`, which needs no hub",
    )
