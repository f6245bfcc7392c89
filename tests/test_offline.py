"""Once its models are here, a conversation makes no call to anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.models.registry import PROFILES
from voicebot.models.store import ModelStore, default_models_dir

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.models

CLOSES_THE_NETWORK = """
import os
import socket

_connect = socket.socket.connect


def _refused(*arguments, **_):
    with open(os.environ["CALLS_FILE"], "a") as file:
        file.write(f"{arguments}\\n")
    raise OSError("the network is closed")


def _connect_to_this_machine_only(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _refused(address)
    return _connect(self, address)


socket.socket.connect = _connect_to_this_machine_only
socket.getaddrinfo = _refused
"""


def without_network(command: list[str]) -> list[str]:
    """In a network namespace of its own, where the system lets a user have one."""
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "-rn", "true"], check=False).returncode == 0:
        return [unshare, "-rn", *command]
    return command


def test_a_conversation_makes_no_call(tmp_path: Path) -> None:
    store = ModelStore(default_models_dir())
    if absent := [name for name in PROFILES["embedded"] if not store.is_ready(name)]:
        pytest.skip(f"not on this machine: {', '.join(absent)}")
    # Python imports it first, in every process of the conversation.
    (tmp_path / "sitecustomize.py").write_text(CLOSES_THE_NETWORK)
    calls = tmp_path / "calls"
    question = load_callers(recorded_callers_dir(), kind="question")[0].turns[0].path
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        without_network(
            [
                *(sys.executable, "-m", "voicebot", "--profile", "embedded"),
                *("chat", "--input", str(question)),
            ]
        ),
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(paths),
            "CALLS_FILE": str(calls),
            "VOICEBOT_MODELS": str(store.root),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Bot: " in done.stdout
    assert not calls.exists(), calls.read_text()
