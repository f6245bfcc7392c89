"""The hub's own client against a hub on this machine, as ``voicebot models pull`` uses both."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub_server import HubServer, serving_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hf_made_up"  # noqa: S105 (of no account)

CHUNK_BYTES = 10 * 1024**2
"""What the client writes at a time: less of a download that breaks off is lost."""

VOICE = "de/de_DE/thorsten/medium/de_DE-thorsten-medium.onnx"
ONNX = b"\x08\x07" + os.urandom(CHUNK_BYTES + 400_000)
WHISPER = {
    "model.bin": struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(32),
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\n",
    "README.md": b"# a model",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with serving_hub(
        {
            "rhasspy/piper-voices": {VOICE: ONNX, f"{VOICE}.json": b"{}", "voices.json": b"{}"},
            "owner/whisper": dict(WHISPER),
            "owner/pickles": {"config.json": b"{}", "pytorch_model.bin": b"\x80\x02."},
            "owner/disguised": {**WHISPER, "model.bin": b"\x80\x02." + bytes(64)},
        }
    ) as server:
        yield server


def voicebot(
    hub: HubServer, folder: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hf"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "VOICEBOT_MODELS": str(folder / "models"),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "voicebot", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_broken_download_goes_on_where_it_stopped_and_then_needs_no_hub(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.cut_after_bytes = CHUNK_BYTES + 100_000
    broken = voicebot(hub, tmp_path, "models", "pull", "de_DE-thorsten-medium")
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert "goes on where it stopped" in broken.stderr.splitlines()[-1]
    hub.cut_after_bytes, hub.is_down = None, False
    hub.ranges.clear()
    whole = voicebot(hub, tmp_path, "models", "pull", "piper:de_DE-thorsten-medium", HF_TOKEN=TOKEN)
    assert whole.returncode == 0, whole.stderr
    assert "Download 400 kB" in whole.stderr
    assert hub.ranges[0] == f"bytes={CHUNK_BYTES}-"
    assert f"Bearer {TOKEN}" in hub.tokens
    models = tmp_path / "models"
    assert (models / "piper-de-de-thorsten-medium" / VOICE).read_bytes() == ONNX
    assert not (models / ".fetch" / "piper-de-de-thorsten-medium").exists()
    locked = json.loads((models / "models.lock.json").read_text())["models"]
    assert locked["piper-de-de-thorsten-medium"]["revision"] == hub.revision
    hub.asked.clear()
    again = voicebot(hub, tmp_path, "models", "pull", "de_DE-thorsten-medium")
    assert again.stdout == "piper-de-de-thorsten-medium: was here\n"
    assert hub.asked == []


def test_any_repository_is_fetched_by_its_kind_and_held_to_its_lock(
    hub: HubServer, tmp_path: Path
) -> None:
    done = voicebot(hub, tmp_path, "models", "pull", "owner/whisper")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "models" / "owner--whisper"
    assert not (folder / "README.md").exists()
    rows = json.loads(voicebot(hub, tmp_path, "models", "list", "--here", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == "owner/whisper"]
    assert (row["role"], row["licence"], row["state"]) == ("asr", "mit", "ready")
    hub.repositories["owner/whisper"]["vocabulary.txt"] = b"b\n"
    (folder / "vocabulary.txt").write_bytes(b"changed by hand")
    held = voicebot(hub, tmp_path, "models", "pull", "owner/whisper")
    assert held.returncode == 1
    assert "vocabulary.txt of owner/whisper has the checksum" in held.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("owner/pickles", "only in pytorch_model.bin, a format that may carry code"),
        ("owner/disguised", "model.bin is a Python pickle, which may carry code"),
        ("owner/gated", "owner/gated asks for consent first: agree at https://huggingface.co/"),
        ("owner/nothing", "the model hub has no owner/nothing"),
    ],
)
def test_what_cannot_be_taken_is_one_line(
    hub: HubServer, tmp_path: Path, reference: str, line: str
) -> None:
    hub.gated.add("owner/gated")
    refused = voicebot(hub, tmp_path, "models", "pull", reference)
    assert refused.returncode == 1
    assert line in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert not list((tmp_path / "models").glob("owner--*"))


def test_auto_takes_what_was_pulled_and_asks_nobody(hub: HubServer, tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    hub.repositories |= {
        "Systran/faster-whisper-base.en": dict(WHISPER),
        "HuggingFaceTB/SmolLM2-360M-Instruct": {
            "model.safetensors": struct.pack("<Q", len(header)) + header + bytes(4),
            "config.json": b'{"model_type": "made-up"}',
            "tokenizer.json": b"{}",
            "onnx/model.onnx": ONNX[:100],
        },
    }
    hub.repositories["rhasspy/piper-voices"] = {
        "en/en_US/lessac/medium/en_US-lessac-medium.onnx": ONNX[:100],
        "en/en_US/lessac/medium/en_US-lessac-medium.onnx.json": b"{}",
    }
    names = ["faster-whisper:base.en", "smollm2-360m-instruct", "en_US-lessac-medium"]
    pulled = voicebot(hub, tmp_path, "models", "pull", *names)
    assert pulled.returncode == 0, pulled.stderr
    assert not (tmp_path / "models" / "smollm2-360m-instruct" / "onnx").exists()
    hub.asked.clear()
    pulled = voicebot(hub, tmp_path, "models", "pull", "auto", "--dry-run")
    assert pulled.returncode == 0, pulled.stderr
    assert "Profile: cpu (" in pulled.stderr
    for name in ("faster-whisper-base.en", "smollm2-360m-instruct", "piper-en-us-lessac-medium"):
        assert f"{name}: was here" in pulled.stdout
    assert hub.asked == []


def test_offline_mode_of_the_client_is_one_line(hub: HubServer, tmp_path: Path) -> None:
    refused = voicebot(hub, tmp_path, "models", "pull", "owner/whisper", HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert "offline mode is on: unset HF_HUB_OFFLINE" in refused.stderr.splitlines()[-1]
    assert hub.asked == []
