"""The remote profile end to end: servers in processes of their own, commands as users run them."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest

from server_processes import chat_server
from voicebot.audio.files import read_audio, write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.choice import choose_profile
from voicebot.config import Settings
from voicebot.models.store import ModelStore, default_models_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.models

WAIT_S = 60.0
GAP_S = 6.0
SERVING = re.compile(r"Serving (.*) at tcp://127\.0\.0\.1:(\d+)")


class Command:
    """A voicebot command that runs; its lines of both streams as they come."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voicebot", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip())
        self._queue.put(None)

    def until(self, start: str) -> str:
        """The next line that begins with ``start``; empty if the output ends before."""
        while (line := self._queue.get(timeout=WAIT_S)) is not None:
            self.lines.append(line)
            if line.startswith(start):
                return line
        return ""

    def end(self) -> int:
        self.until("\0")
        return self.process.wait(WAIT_S)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(scope="module")
def models() -> None:
    store = ModelStore(default_models_dir())
    for name in choose_profile(Settings()).models:
        if not store.is_ready(name):
            pytest.skip(f"{name} is not here: run voicebot models pull")


@pytest.fixture
def speech_server(models: None) -> Iterator[str]:
    with Command("serve-wyoming", "--port", "0") as serving:
        found = SERVING.match(serving.until("Serving"))
        assert found, serving.output
        assert found[1] == "recognition and synthesis"
        yield f"tcp://127.0.0.1:{found[2]}"
        serving.process.send_signal(signal.SIGINT)
        assert serving.end() == 130, serving.output
        assert serving.lines[-1] == "voicebot: stopped"
        assert not any("Error" in line or "error" in line for line in serving.lines)


def question(folder: Path, times: int) -> Path:
    """A recording in which the same question is asked several times."""
    path = load_callers(recorded_callers_dir(), kind="question")[0].turns[0].path
    samples = read_audio(path).samples
    gap = np.zeros(round(GAP_S * INPUT_SAMPLE_RATE_HZ), np.float32)
    parts = [part for _ in range(times) for part in (samples, gap)]
    write_wav(folder / "question.wav", np.concatenate(parts), INPUT_SAMPLE_RATE_HZ)
    return folder / "question.wav"


def test_a_conversation_survives_the_loss_of_the_language_models_server(
    speech_server: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        chat = stack.enter_context(chat_server("small"))
        talking = stack.enter_context(
            Command(
                *("chat", "--profile", "remote", "--input", question(tmp_path, 3)),
                *("--set", f"asr.url={speech_server}", "--set", f"tts.url={speech_server}"),
                *("--set", f"llm.url={chat.url}", "--set", "llm.fallback=auto"),
                *("--set", "servers.retry_after_s=0"),
            )
        )
        assert "France" in talking.until("Bot: "), talking.output
        chat.process.kill()
        chat.process.wait()
        assert talking.until("Bot: "), talking.output
        assert "Sorry" not in talking.lines[-1]
        again = stack.enter_context(chat_server("small", port=chat.port))
        assert "France" in talking.until("Bot: "), talking.output
        assert talking.end() == 0, talking.output
        assert [entry["path"] for entry in again.log()][-1] == "/v1/chat/completions"
    lost = [
        line for line in talking.lines if "cannot be reached" in line or "in the middle" in line
    ]
    assert len(lost) == 1, talking.output
    assert lost[0].endswith("auto:smollm2-135m-instruct goes on")
    turns = [at for at, line in enumerate(talking.lines) if line.startswith("Bot: ")]
    assert turns[0] < talking.lines.index(lost[0]) < turns[1]
    assert turns[1] < talking.lines.index("voicebot: the language model stage works again")
    assert talking.output.count("You: how many days") == 3


@pytest.mark.usefixtures("models")
def test_servers_that_are_down_are_one_line(tmp_path: Path) -> None:
    with Command(
        *("chat", "--profile", "remote", "--input", question(tmp_path, 1)),
        *("--set", "asr.url=tcp://127.0.0.1:9", "--set", "tts.url=tcp://127.0.0.1:9"),
        *("--set", "llm.url=http://127.0.0.1:9/v1"),
    ) as talking:
        assert talking.end() == 1
        errors = [line for line in talking.lines if line.startswith("voicebot: error:")]
        assert len(errors) == 1
        assert "cannot be reached (Connection refused): start it, or correct" in errors[0]


@pytest.mark.usefixtures("models")
def test_all_servers_down_and_a_fallback_for_each(tmp_path: Path) -> None:
    with Command(
        *("chat", "--profile", "remote", "--input", question(tmp_path, 1)),
        *("--set", "asr.url=tcp://127.0.0.1:9", "--set", "tts.url=tcp://127.0.0.1:9"),
        *("--set", "llm.url=http://127.0.0.1:9/v1", "--set", "llm.fallback=auto"),
        *("--set", "asr.fallback=pocketsphinx", "--set", "tts.fallback=espeak"),
    ) as talking:
        assert talking.end() == 0, talking.output
        assert "You: how many days" in talking.output
        assert talking.output.count("goes on") == 3


@pytest.mark.usefixtures("models")
def test_each_service_has_its_port_and_sigterm_ends_it() -> None:
    with Command("serve-wyoming", "--asr-port", "0", "--tts-port", "0") as serving:
        lines = [serving.until("Serving"), serving.until("Serving")]
        assert [found[1] for line in lines if (found := SERVING.match(line))] == [
            "recognition",
            "synthesis",
        ]
        serving.process.send_signal(signal.SIGTERM)
        assert serving.end() == 0, serving.output
