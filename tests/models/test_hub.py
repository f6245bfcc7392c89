"""The hub's library is replaced by what it would answer: no test reaches a hub."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from voicebot.errors import ModelFetchError
from voicebot.models.hub import HubFile, HubListing, HuggingFaceHub

if TYPE_CHECKING:
    from pathlib import Path


def _response_error(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, "made up")
    return error


def test_listing_keeps_commit_sizes_and_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    siblings = [
        SimpleNamespace(rfilename="model.safetensors", size=5, lfs=SimpleNamespace(sha256="ab")),
        SimpleNamespace(rfilename="config.json", size=2, lfs=None),
    ]
    asked: dict[str, Any] = {}

    def model_info(self: object, repository: str, **options: Any) -> SimpleNamespace:
        asked.update(options, repository=repository)
        return SimpleNamespace(sha="c" * 40, siblings=siblings)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    listing = HuggingFaceHub().list_files("made/up", None)
    assert listing == HubListing(
        "c" * 40, (HubFile("model.safetensors", 5, "ab"), HubFile("config.json", 2, None))
    )
    assert (asked["repository"], asked["revision"], asked["files_metadata"]) == (
        "made/up",
        None,
        True,
    )


def test_download_asks_for_the_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[object, ...]] = []

    def download(repository: str, name: str, *, revision: str, local_dir: Path) -> str:
        asked.append((repository, name, revision, local_dir))
        return str(local_dir / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    path = HuggingFaceHub().download("made/up", "c" * 40, "a/b.json", tmp_path)
    assert path == tmp_path / "a/b.json"
    assert asked == [("made/up", "a/b.json", "c" * 40, tmp_path)]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (_response_error(errors.GatedRepoError), "asks for consent"),
        (_response_error(errors.RepositoryNotFoundError), "has no made/up"),
        (_response_error(errors.RevisionNotFoundError), "recorded commit"),
        (errors.OfflineModeIsEnabled("made up"), "offline mode is on"),
        (_response_error(errors.HfHubHTTPError), "does not answer"),
        (errors.LocalEntryNotFoundError("made up"), "does not answer"),
    ],
)
def test_every_failure_of_the_hub_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def fail(self: object, repository: str, **options: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(ModelFetchError, match=line):
        HuggingFaceHub().list_files("made/up", None)
