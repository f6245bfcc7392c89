from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.cli.progress import fetch_lines
from voicebot.errors import ModelFetchError
from voicebot.models.estimate import (
    Estimate,
    bytes_in_memory,
    check_disk,
    estimate_fetches,
    readable_bytes,
)
from voicebot.models.hub import HubFile, HubListing
from voicebot.models.registry import MODELS
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from pathlib import Path


class FakeHub:
    def __init__(self, files: tuple[HubFile, ...] | None) -> None:
        self.files = files

    def list_files(self, repository: str, revision: str | None) -> HubListing:
        if self.files is None:
            raise ModelFetchError(f"the model hub does not answer for {repository}")
        return HubListing(revision or "c" * 40, self.files)

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        raise AssertionError("nothing is to be fetched")


def test_the_hub_makes_a_size_exact(tmp_path: Path) -> None:
    files = (HubFile("model.bin", 1000), HubFile("config.json", 24), HubFile("README.md", 9))
    store = ModelStore(tmp_path, hub=FakeHub(files))
    (one,) = estimate_fetches(store, ["faster-whisper-base.en", "espeak-ng"])
    assert (one.download_bytes, one.is_exact, one.size) == (1024, True, "1 kB")


def test_without_a_hub_the_table_stands_in(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, hub=FakeHub(None))
    base, smollm, other = estimate_fetches(
        store, ["faster-whisper-base.en", "smollm2-360m-instruct", "owner/name"]
    )
    assert base.size == "~148 MB"
    assert smollm.size == "~724 MB"
    assert other.size == "of unknown size"
    assert smollm.disk_bytes == 724_000_000 * 3 // 2  # its graph is made beside it


def test_what_is_here_already_is_not_fetched_again(tmp_path: Path) -> None:
    files = (HubFile("model.bin", 1000), HubFile("config.json", 24))
    partial = tmp_path / ".fetch" / "faster-whisper-base.en" / "partial" / ("c" * 40)
    partial.mkdir(parents=True)
    (partial / "model.bin.partial").write_bytes(bytes(600))
    (one,) = estimate_fetches(ModelStore(tmp_path, hub=FakeHub(files)), ["faster-whisper-base.en"])
    assert one.download_bytes == 424


def test_gated_models_say_so(tmp_path: Path) -> None:
    (one,) = estimate_fetches(
        ModelStore(tmp_path, hub=FakeHub(None)), ["llama-3.2-1b-instruct"], ask_hub=False
    )
    lines = fetch_lines([one], free_bytes=10**10, memory_bytes=10**9)
    assert "asks for consent first" in lines[0]
    assert "too little" in lines[1]


def test_memory_follows_the_engine() -> None:
    whisper = bytes_in_memory(MODELS["faster-whisper-base.en"], None)
    llm = bytes_in_memory(MODELS["smollm2-360m-instruct"], None)
    voice = MODELS["piper-en-us-amy-medium"]
    assert whisper is not None
    assert llm is not None
    assert whisper < llm
    assert bytes_in_memory(voice, voice.shown_bytes) == 2 * (voice.shown_bytes or 0)
    assert bytes_in_memory(voice, None) is None
    assert bytes_in_memory(MODELS["pocketsphinx-en-us"], 1) is None


def test_a_full_disk_is_refused_in_one_line() -> None:
    large = Estimate(
        "a", "hub:b/c", "MIT", 10**9, is_exact=True, disk_bytes=10**9, memory_bytes=None
    )
    check_disk([large], 2 * 10**9, "models")
    check_disk([], 0, "models")
    with pytest.raises(ModelFetchError, match=r"needs 2\.00 GB and models has 2\.00 GB free"):
        check_disk([large, large], 2 * 10**9, "models")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (410_000, "410 kB"), (148e6, "148 MB"), (3.09e9, "3.09 GB")]
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert readable_bytes(size) == text
