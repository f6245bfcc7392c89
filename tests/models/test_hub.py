"""The hub's library is replaced by what it would answer; ``test_real_hub_client.py`` has the real
one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCardData, errors

from voicebot.errors import ModelFetchError
from voicebot.models.hub import HubFile, HubListing, HuggingFaceHub


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
        return SimpleNamespace(
            sha="c" * 40,
            siblings=siblings,
            card_data=ModelCardData(license="apache-2.0"),
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    listing = HuggingFaceHub().list_files("made/up", None)
    assert listing == HubListing(
        "c" * 40,
        (HubFile("model.safetensors", 5, "ab"), HubFile("config.json", 2, None)),
        "apache-2.0",
    )
    assert (asked["repository"], asked["revision"], asked["files_metadata"]) == (
        "made/up",
        None,
        True,
    )


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
