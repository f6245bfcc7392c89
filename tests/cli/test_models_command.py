from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from voicebot.cli.models import _ROLES, models_group
from voicebot.config import ModelsSettings, Settings
from voicebot.errors import ConfigError, ModelDamagedError, ModelFetchError, ModelMissingError
from voicebot.models.lock import LockedModel, write_locked
from voicebot.models.registry import MODELS
from voicebot.models.registry.model import Role

if TYPE_CHECKING:
    from pathlib import Path


class FakeContext:
    def __init__(self, folder: Path, *, offline: bool = False, language: str = "en") -> None:
        self.settings = Settings(
            language=language, models=ModelsSettings(dir=folder, offline=offline)
        )
        self.console = Console(file=io.StringIO(), width=160)
        self.error_console = Console(file=io.StringIO(), width=160)

    @property
    def printed(self) -> str:
        file: Any = self.console.file
        return str(file.getvalue())

    @property
    def noted(self) -> str:
        file: Any = self.error_console.file
        return str(file.getvalue())


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that never answers, without asking one."""

    def fail(hub: object, repository: str, revision: str | None) -> None:
        raise ModelFetchError(f"the model hub does not answer for {repository}")

    monkeypatch.setattr("voicebot.models.hub.HuggingFaceHub.list_files", fail)


def _run(context: FakeContext, *arguments: str) -> Result:
    return CliRunner().invoke(models_group, list(arguments), obj=context)


def test_list_shows_every_model_and_its_state(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "list").exit_code == 0
    for name in MODELS:
        assert name in context.printed
    assert "absent" in context.printed
    assert "ready" in context.printed


def _listed(folder: Path, width: int, *, is_terminal: bool) -> list[str]:
    context = FakeContext(folder)
    context.console = Console(
        file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None
    )
    assert _run(context, "list").exit_code == 0
    return context.printed.splitlines()


def test_a_narrow_terminal_gets_whole_names_and_states(tmp_path: Path) -> None:
    lines = _listed(tmp_path, 80, is_terminal=True)
    assert all(len(line.rstrip()) <= 80 for line in lines[:-1])
    for name in MODELS:
        (line,) = [line for line in lines if line.split()[0] == name]
        assert line.split()[1] in {"ready", "absent"}


def test_a_pipe_gets_every_column_on_one_line(tmp_path: Path) -> None:
    lines = _listed(tmp_path, 80, is_terminal=False)
    assert lines[0].split() == [
        "name", "state", "role", "size", "language", "licence", "profile",
    ]  # fmt: skip
    (line,) = [one for one in lines if one.startswith("pocketsphinx-en-us ")]
    assert line.rstrip().endswith("embedded")
    assert len(lines) == len(MODELS) + 2


def test_roles_are_those_of_the_table(tmp_path: Path) -> None:
    assert {model.role for model in MODELS.values()} <= set(_ROLES)
    assert set(_ROLES) == set(get_args(Role)) - {"unknown"}
    assert _run(FakeContext(tmp_path), "list", "--role", "nonsense").exit_code == 2


def test_pull_of_remote_says_that_servers_do_the_rest(tmp_path: Path, no_hub: None) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "pull", "remote", "--dry-run").exit_code == 0
    assert (
        "Servers do the rest and bring their own models: recogniser (wyoming), language model "
        "(openai), voice (wyoming)" in context.noted
    )


def test_list_as_json(tmp_path: Path) -> None:
    rows = json.loads(_run(FakeContext(tmp_path), "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert {row["name"]: row["state"] for row in rows}["smart-turn-v3.2"] == "absent"


def test_list_shows_only_what_is_asked_for(tmp_path: Path) -> None:
    rows = json.loads(
        _run(FakeContext(tmp_path), "list", "--role", "asr", "--language", "de", "--json").stdout
    )
    assert {row["role"] for row in rows} == {"asr"}
    assert "faster-whisper-base" in {row["name"] for row in rows}
    assert "faster-whisper-base.en" not in {row["name"] for row in rows}
    rows = json.loads(_run(FakeContext(tmp_path), "list", "--here", "--json").stdout)
    assert {row["name"] for row in rows} == {"silero-vad-v6", "pocketsphinx-en-us", "espeak-ng"}


def test_pull_of_a_profile_follows_the_language_and_says_what_it_costs(
    tmp_path: Path, no_hub: None
) -> None:
    context = FakeContext(tmp_path, language="de")
    assert _run(context, "pull", "cpu", "--dry-run").exit_code == 0
    assert "faster-whisper-base: is absent" in context.printed
    assert "piper-de-de-thorsten-medium: is absent" in context.printed
    assert (
        "Fetching faster-whisper-base: ~148 MB from hub:Systran/faster-whisper-base, licence MIT"
        in context.noted
    )
    assert "of disk free" in context.noted
    assert not (tmp_path / "faster-whisper-base").exists()


def test_pull_does_not_begin_what_the_disk_cannot_hold(
    tmp_path: Path, no_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.models.store.ModelStore.free_bytes", lambda store: 10**9)
    result = _run(FakeContext(tmp_path), "pull", "faster-whisper:large-v3")
    assert isinstance(result.exception, ModelFetchError)
    assert "the download needs 3.09 GB" in str(result.exception)


@pytest.mark.parametrize("profile", ["embedded", "gpu", "remote"])
def test_every_profile_can_be_pulled(tmp_path: Path, no_hub: None, profile: str) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "pull", profile, "--dry-run").exit_code == 0
    assert f"Profile: {profile} (as configured): " in context.noted
    assert "smart-turn-v3.2: is absent" in context.printed


def test_a_terminal_is_asked_and_a_no_fetches_nothing(
    tmp_path: Path, no_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.cli.models._can_answer", lambda: True)
    context = FakeContext(tmp_path)
    context.error_console = Console(file=io.StringIO(), width=160, force_terminal=True)
    arguments = ["pull", "faster-whisper:tiny"]
    result = CliRunner().invoke(models_group, arguments, obj=context, input="n\n")
    assert isinstance(result.exception, SystemExit)
    assert "Go on?" in result.output
    assert context.printed == ""
    assert not list(tmp_path.iterdir())


def test_nothing_is_locked_at_first(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    assert _run(context, "lock").exit_code == 0
    assert "nothing was fetched" in context.printed


def test_lock_shows_revision_and_checksums(tmp_path: Path) -> None:
    write_locked(
        tmp_path / "models.lock.json", "owner/name", LockedModel("owner/name", "c" * 40, {"a": "0"})
    )
    context = FakeContext(tmp_path)
    assert _run(context, "lock").exit_code == 0
    assert "owner/name@" + "c" * 40 in context.printed
    locked = json.loads(_run(context, "lock", "--json").stdout)
    assert locked["owner/name"]["files"] == {"a": "0"}


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
