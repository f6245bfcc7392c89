from __future__ import annotations

import importlib.metadata
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from voicebot import doctor
from voicebot.choice import StageChoice, choose_profile
from voicebot.cli.context import CliContext
from voicebot.cli.doctor import doctor_command
from voicebot.config import AsrSettings, ModelsSettings, Settings, setting_specs
from voicebot.doctor import (
    Finding,
    check_audio,
    check_clock,
    check_cores,
    check_disk,
    check_machine,
    check_memory,
    check_model,
    check_packages,
    check_profile,
    check_python,
    check_speed,
    check_terminal,
    check_wakeups,
    check_writable,
    gather_findings,
    gather_speeds,
)
from voicebot.errors import EngineError, VoicebotError
from voicebot.machine import MachineFacts
from voicebot.models.registry import PROFILES
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.tuning import Speed, chosen_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GIB = 1024**3
MACHINE = MachineFacts(2, 8 * GIB, 50.0, 10.0)
SPOKEN = ("vad", "tts", "asr", "turn", "llm")


@pytest.mark.parametrize(
    ("finding", "state"),
    [
        (check_python((3, 10, 9)), "fail"),
        (check_python((3, 13, 0)), "ok"),
        (check_cores(4, 1.0), "ok"),
        (check_cores(4, 4.5), "warn"),
        (check_cores(1, 0.1), "warn"),
        (check_memory(8 * GIB), "ok"),
        (check_memory(GIB), "warn"),
        (check_clock(1e-9), "ok"),
        (check_clock(0.0156), "warn"),
        (check_wakeups([0.1] * 100), "ok"),
        (check_wakeups([0.1] * 97 + [20.0] * 3), "warn"),
        (check_terminal("UTF-8", is_terminal=True), "ok"),
        (check_terminal("ascii", is_terminal=True), "warn"),
        (check_terminal("", is_terminal=False), "warn"),
        (check_speed(Speed("llm", 2, 20.0, "ms a token")), "ok"),
        (check_speed(Speed("llm", 2, 200.0, "ms a token")), "warn"),
    ],
)
def test_verdicts_and_a_way_out_where_it_is_bad(finding: Finding, state: str) -> None:
    assert finding.state == state
    assert bool(finding.way_out) == (state != "ok")


def test_disk(tmp_path: Path) -> None:
    assert check_disk(tmp_path, 10 * GIB).state == "ok"
    assert check_disk(tmp_path, 1000).state == "warn"


def test_absent_package_is_named_and_extras_do_not_count() -> None:
    def version_of(name: str) -> str:
        if name == "gone":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    finding = check_packages(["here>=1", "gone==2", 'gone; extra == "x"'], version_of)
    assert (finding.state, finding.detail) == ("fail", "not installed: gone")
    assert check_packages(["here>=1"], version_of).detail == "here 1.0"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError("PortAudio library not found"), "libportaudio2"),
        (ValueError("no device"), "connect one"),
        (RuntimeError("no device"), "connect one"),
        (ImportError("no sounddevice"), "install voicebot anew"),
    ],
)
def test_absent_sound_is_a_warning_with_a_way_out(error: Exception, hint: str) -> None:
    def query(kind: str) -> str:
        raise error

    finding = check_audio("input", query)
    assert finding.state == "warn"
    assert hint in finding.way_out
    assert check_audio("output", lambda kind: "speaker 1").detail == "speaker 1"


def test_absent_model_fails_with_the_command_to_run(tmp_path: Path) -> None:
    finding = check_model(ModelStore(tmp_path), "smart-turn-v3.2")
    assert finding.state == "fail"
    assert finding.way_out == "run `voicebot models pull smart-turn-v3.2`"
    assert check_model(ModelStore(tmp_path), "silero-vad-v6").state == "ok"


def test_folder_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    assert check_writable("results", tmp_path / "a" / "b").state == "ok"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert check_writable("results", tmp_path / "file" / "b").state == "warn"


def test_gathering_covers_every_subject_without_models(tmp_path: Path) -> None:
    findings = list(gather_findings(ModelStore(tmp_path / "models"), ["smart-turn-v3.2"]))
    subjects = [finding.subject for finding in findings]
    assert len(subjects) == len(set(subjects))
    assert {"python", "packages", "microphone", "cores", "memory", "disk", "clock"} <= set(subjects)
    assert not (tmp_path / "models").exists()


def test_tuning_keeps_the_best_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("voicebot.tuning.tuning_path", lambda: tmp_path / "tuning.json")
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    times = {1: 17.0, 2: 32.0}
    findings = list(
        doctor._tuned("llm", "made-up", lambda count: Speed("llm", count, times[count], "ms"))
    )
    assert [finding.state for finding in findings] == ["ok", "ok"]
    assert findings[1].detail == "1 chosen (ms by threads: 1: 17, 2: 32)"
    assert chosen_threads("llm", "made-up") == 1


class Engine:
    """Whatever was chosen for a stage, as far as measuring goes."""

    closed = 0

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def close(self) -> None:
        Engine.closed += 1


def test_any_engine_is_measured_with_several_threads_and_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("voicebot.tuning.tuning_path", lambda: tmp_path / "tuning.json")
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    built: list[StageChoice] = []

    def factory(choice: StageChoice, settings: Settings, store: object) -> Callable[[], Engine]:
        built.append(choice)
        return lambda: Engine(settings.llm.threads)

    monkeypatch.setattr(doctor, "_factory", lambda role: factory)
    monkeypatch.setattr(Engine, "closed", 0)
    settings = Settings(profile="cpu")
    findings = list(
        doctor._spoken(
            "llm",
            choose_profile(settings),
            settings,
            ModelStore(tmp_path),
            lambda engine: Speed("llm", None, 30.0 / engine.threads, "ms a token"),
        )
    )
    assert findings[1].detail == "2 chosen (ms a token by threads: 1: 30, 2: 15)"
    assert built == [StageChoice("auto", "smollm2-360m-instruct")] * 2
    assert Engine.closed == 2
    assert chosen_threads("llm", "smollm2-360m-instruct") == 2


def test_a_stage_whose_model_is_not_here_is_a_finding(tmp_path: Path) -> None:
    settings = Settings(profile="embedded")
    findings = list(
        doctor._spoken(
            "llm",
            choose_profile(settings),
            settings,
            ModelStore(tmp_path),
            lambda engine: Speed("llm", None, 1.0, "ms a token"),
        )
    )
    assert [finding.state for finding in findings] == ["fail"]
    assert findings[0].way_out == "run `voicebot models pull smollm2-135m-instruct`"


def test_the_profile_and_its_warnings_are_told() -> None:
    settings = Settings(profile="embedded", language="de", asr=AsrSettings(model="base"))
    finding = check_profile(choose_profile(settings))
    assert finding.state == "warn"
    assert "faster-whisper:faster-whisper-base" in finding.detail
    assert "--llm" in finding.way_out
    assert "no graphics card" in check_machine(MACHINE).detail


def test_engine_that_fails_is_a_finding(tmp_path: Path) -> None:
    def fail(count: int) -> Speed:
        raise EngineError("it broke", "mend it")

    assert list(doctor._tuned("llm", "made-up", fail)) == [
        Finding("speed of llm", "fail", "it broke", "mend it")
    ]


def test_cache_that_cannot_be_written_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("voicebot.tuning.tuning_path", lambda: tmp_path / "file" / "tuning.json")
    findings = list(doctor._tuned("llm", "x", lambda count: Speed("llm", count, 1.0, "ms")))
    assert [finding.state for finding in findings] == ["warn"]


def _run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: list[Finding], *arguments: str
) -> tuple[Any, str]:
    def gather(store: ModelStore, models: object) -> Iterator[Finding]:
        return iter(findings)

    monkeypatch.setattr(doctor, "gather_findings", gather)
    printed = io.StringIO()
    monkeypatch.setattr("voicebot.machine.kept_facts", lambda *, anew: MACHINE)
    context = CliContext(
        settings=Settings(profile="embedded", models=ModelsSettings(dir=tmp_path)),
        origins=dict.fromkeys(setting_specs(), "default"),
        console=Console(file=printed, width=80),
        error_console=Console(file=io.StringIO()),
    )
    result = CliRunner().invoke(doctor_command, ["--quick", *arguments], obj=context)
    return result, printed.getvalue()


def test_command_prints_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result, printed = _run(monkeypatch, tmp_path, [Finding("disk", "warn", "[full]", "free some")])
    assert result.exit_code == 0
    assert printed.splitlines()[-1] == "warn disk: [full] → free some"
    assert "profile: embedded (as configured): pocketsphinx:pocketsphinx-en-us, " in printed


def test_settings_may_stand_behind_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, printed = _run(monkeypatch, tmp_path, [], "--tts", "en_GB-alan-low")
    assert result.exit_code == 0
    assert "mixed (embedded with another voice" in printed
    _, printed = _run(monkeypatch, tmp_path, [], "--set", "profile=remote")
    assert "profile: remote (as configured): wyoming, openai, wyoming" in printed


def test_command_fails_when_a_check_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    findings = [Finding("disk", "ok", "much"), Finding("python", "fail", "3.8", "newer")]
    result, _ = _run(monkeypatch, tmp_path, findings, "--json")
    assert isinstance(result.exception, VoicebotError)
    assert "1 of 4 checks failed: python" in str(result.exception)
    assert [row["state"] for row in json.loads(result.stdout)] == ["ok", "ok", "ok", "fail"]


@pytest.mark.models
def test_real_models_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = ModelStore(default_models_dir())
    if absent := [name for name in PROFILES["embedded"] if not store.is_ready(name)]:
        pytest.skip(f"not on this machine: {', '.join(absent)}")
    monkeypatch.setattr("voicebot.tuning.tuning_path", lambda: tmp_path / "tuning.json")
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1)
    settings = Settings(profile="embedded")
    findings = list(gather_speeds(store, choose_profile(settings), settings))
    assert {finding.subject for finding in findings} >= {f"speed of {one}" for one in SPOKEN}
    assert [finding for finding in findings if finding.state == "fail"] == []
    assert chosen_threads("llm") == 1
    assert chosen_threads("turn") == 1
