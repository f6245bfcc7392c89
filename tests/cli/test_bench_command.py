"""``voicebot bench`` with scripted stages: what it writes, and how it fails."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.audio.files import write_wav
from voicebot.bench.record import validate_run, write_run
from voicebot.cli.main import run
from voicebot.config import setting_specs
from voicebot.engines.scripted import (
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.errors import OutputError
from voicebot.stages import Stages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RATE_HZ = 16_000


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    folder = tmp_path / "callers"
    folder.mkdir()
    samples = np.zeros(RATE_HZ, dtype=np.float32)
    samples[3200:11200] = 0.3 * np.sin(np.arange(8000) / 13)
    write_wav(folder / "a.wav", samples, RATE_HZ)
    rows = [{"path": "a.wav", "speech": [[0.2, 0.7]], "text": "hi <b>", "kind": "question"}]
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.fixture(autouse=True)
def _scripted_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def running(*_: object, **__: object) -> AsyncIterator[Stages]:
        yield Stages(
            vad=ScriptedVad(),
            turn_detector=ScriptedTurnDetector(),
            asr=ScriptedAsr(),
            llm=ScriptedLlm(default="Yes."),
            tts=ScriptedTts(),
        )

    monkeypatch.setattr("voicebot.cli.startup.running_stages", running)
    monkeypatch.setattr("voicebot.cli.startup.engine_factories", lambda *_: None)
    monkeypatch.setattr("voicebot.cli.bench_run.models_used", lambda *_: ())
    monkeypatch.setattr("voicebot.cli.startup.ModelStore.is_ready", lambda *_: True)


def bench(callers: Path, out: Path, *more: str) -> int:
    return run(
        [
            "bench",
            "--callers",
            str(callers),
            "--out",
            str(out),
            "--set",
            "bench.warmup_turns=0",
            *list(more),
        ]
    )


def test_a_run_is_written_shown_and_fits_its_schema(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(callers, tmp_path / "out") == 0
    data = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    validate_run(data)
    assert data["partial"] is False
    assert data["summary"]["turns"] == data["summary"]["answered"] == 1
    assert data["meta"]["config"]["bench"]["warmup_turns"] == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "hi <b>" not in page
    shown = capsys.readouterr()
    assert "Voice to voice" in shown.out
    assert str(tmp_path / "out" / "run.json") in shown.out
    assert "a.wav" in shown.err


def test_an_output_that_is_no_folder_is_told_before_anything_is_played(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert bench(callers, tmp_path / "file" / "out") == 1
    shown = capsys.readouterr()
    assert shown.err.count("voicebot: error:") == 1
    assert "Listening" not in shown.err


def test_a_disk_that_fills_up_during_the_run_loses_nothing(
    callers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:

    def full(run_: object, path: Path) -> None:
        if path.is_relative_to(tmp_path / "out"):
            raise OutputError("cannot write: No space left on device")
        write_run(run_, path)  # type: ignore[arg-type]

    monkeypatch.setattr("voicebot.cli.bench_run.write_run", full)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert bench(callers, tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert "No space left" in shown.err
    (rescued,) = tmp_path.glob("voicebot-run-*/run.json")
    assert str(rescued.parent) in "".join(shown.err.split("\n"))
    validate_run(json.loads(rescued.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"path": "b.wav", "speech": [[0.2, 0.7]], "kind": "q"}, "b.wav"),
        ({"path": "a.wav", "speech": [[0.2, 9.0]], "kind": "q"}, "end"),
        ({"path": "a.wav", "speech": "all of it", "kind": "q"}, "speech"),
        ({"path": "../callers/a.wav", "speech": [[0.2, 0.7]], "kind": "q"}, "path"),
    ],
)
def test_a_broken_manifest_is_one_line(
    callers: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    row: dict[str, object],
    named: str,
) -> None:
    (callers / "manifest.jsonl").write_text(json.dumps(row))
    assert bench(callers, tmp_path / "out") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert named in errors[0]
    assert "manifest.jsonl:1" in errors[0]


def test_an_unknown_kind_names_those_there_are(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(callers, tmp_path / "out", "--kind", "riddle") == 1
    assert "question" in capsys.readouterr().err


def test_a_mistyped_setting_exits_with_2(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(callers, tmp_path / "out", "--set", "turns.soft_end=1") == 2
    assert "turns.soft_end_ms" in capsys.readouterr().err


def test_variants_are_played_by_turns_and_each_is_a_run_of_its_own(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    vary = ["--vary", "patient:turns.rule=silence,turns.eagerness=0"]
    vary += ["--vary", "reply.first_clause_min_words=5", "--hang-up-after", "0.2"]
    assert bench(callers, out, *vary) == 0
    names = ["plain", "patient", "reply.first_clause_min_words=5"]
    for name in names:
        data = json.loads((out / name / "run.json").read_text(encoding="utf-8"))
        validate_run(data)
        assert data["summary"]["turns"] == 1
        assert data["meta"]["config"]["bench"]["hang_up_after_s"] == 0.2
        assert (out / name / "report.html").exists()
    compared = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in compared["variants"]] == names
    assert compared["variants"][0]["difference"] is None
    patient = compared["variants"][1]
    assert patient["assignments"] == ["turns.rule=silence", "turns.eagerness=0"]
    assert patient["difference"]["mean_ms"]["value"] > 150
    shown = capsys.readouterr()
    assert "patient" in shown.out
    assert "comparison.json" in shown.out
    assert "3/3" in shown.err


def test_a_variant_with_an_unknown_setting_exits_with_2_before_anything_is_loaded(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(callers, tmp_path / "out", "--vary", "turns.soft_end=1") == 2
    shown = capsys.readouterr()
    assert "turns.soft_end_ms" in shown.err
    assert "Loading" not in shown.err


@pytest.mark.skipif(
    not {"turns.rule", "turns.eagerness"} <= setting_specs().keys(),
    reason="there is no choice of rules to sweep over",
)
def test_a_sweep_plays_the_default_and_every_point(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"path": "a.wav", "speech": [[0.2, 0.4], [0.5, 0.7]], "kind": "question"}
    (callers / "manifest.jsonl").write_text(json.dumps(row))
    out = tmp_path / "out"
    more = ["--sweep", "--hang-up-after", "0.1", "--points", "fused=0,1"]
    more += ["--points", "silence=0.5", "--points", "smart-turn="]
    assert bench(callers, out, *more) == 0
    data = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    assert [(each["rule"], each["eagerness"]) for each in data["points"]] == [
        ("fused", 0.0),
        ("fused", 0.5),
        ("fused", 1.0),
        ("silence", 0.5),
    ]
    assert [each["is_default"] for each in data["points"]] == [False, True, False, False]
    assert (out / "sweep.html").read_text(encoding="utf-8").count("<circle") == 8
    assert (out / "silence-0.5" / "run.json").exists()
    shown = capsys.readouterr()
    assert data["verdict"][:40] in shown.out
    assert "sweep.html" in shown.out


def test_a_sweep_takes_no_variants(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(callers, tmp_path / "out", "--sweep", "--vary", "turns.onset_ms=50") == 2
    assert "--vary" in capsys.readouterr().err
    assert bench(callers, tmp_path / "out", "--points", "fused=0") == 2


def test_latencies_of_a_kind_that_nobody_is_of_are_refused(
    callers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vary = ["--vary", "turns.onset_ms=50", "--latency-kinds", "question,riddle"]
    assert bench(callers, tmp_path / "out", *vary) == 1
    assert "riddle" in capsys.readouterr().err
