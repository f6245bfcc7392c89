from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from voicebot.cli.models import models_group
from voicebot.errors import ConfigError, ModelDamagedError, ModelFetchError, ModelMissingError
from voicebot.models.registry import MODELS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class FakeModelsSettings:
    dir: Path
    offline: bool = False


@dataclass
class FakeSettings:
    models: FakeModelsSettings


class FakeContext:
    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        self.settings = FakeSettings(FakeModelsSettings(folder, offline))
        self.console = Console(file=io.StringIO(), width=120)
        self.error_console = Console(file=io.StringIO(), width=120)

    @property
    def printed(self) -> str:
        file: Any = self.console.file
        return str(file.getvalue())


def _run(context: FakeContext, *arguments: str) -> Result:
    return CliRunner().invoke(models_group, list(arguments), obj=context)


def test_list_shows_every_model_and_its_state(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "list").exit_code == 0
    for name in MODELS:
        assert name in context.printed
    assert "absent" in context.printed
    assert "ready" in context.printed


def test_list_as_json(tmp_path: Path) -> None:
    rows = json.loads(_run(FakeContext(tmp_path), "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert {row["name"]: row["state"] for row in rows}["smart-turn-v3.2"] == "absent"


def test_pull_of_what_is_here_says_so(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "pull", "espeak-ng").exit_code == 0
    assert context.printed == "espeak-ng: was here\n"


def test_pull_offline_is_refused(tmp_path: Path) -> None:
    result = _run(FakeContext(tmp_path, offline=True), "pull")
    assert isinstance(result.exception, ModelFetchError)
    assert "models.offline" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["pull", "nonsense"], ConfigError),
        (["path", "smart-turn-v3.2"], ModelMissingError),
        (["remove", "espeak-ng"], ConfigError),
        (["verify", "smart-turn-v3.2"], ModelDamagedError),
    ],
)
def test_failures_are_expected_errors(
    tmp_path: Path, arguments: list[str], error: type[Exception]
) -> None:
    result = _run(FakeContext(tmp_path), *arguments)
    assert type(result.exception) is error


def test_verify_reads_what_is_here(tmp_path: Path) -> None:
    result = _run(FakeContext(tmp_path), "verify", "--json")
    rows = json.loads(result.stdout)
    assert {row["name"] for row in rows} == {"silero-vad-v6", "pocketsphinx-en-us", "espeak-ng"}
    assert all(row["ok"] for row in rows)


def test_path_prints_the_path_alone(tmp_path: Path) -> None:
    result = _run(FakeContext(tmp_path), "path", "silero-vad-v6")
    assert result.stdout.endswith("silero_vad_v6.onnx\n")


def test_remove_of_what_is_absent_says_so(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "remove", "smart-turn-v3.2").exit_code == 0
    assert context.printed == "smart-turn-v3.2: was not here\n"
