from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from factories import a_realistic_run, a_run, a_turn

from voicebot.bench.record import (
    SCHEMA,
    from_json,
    read_run,
    to_json,
    validate_run,
    write_run,
)
from voicebot.errors import OutputError, VoicebotError

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = {
    "": ["schema", "meta", "warmup", "turns", "summary"],
    "meta": [
        *("started_at", "version", "commit", "host", "packages"),
        *("profile", "config", "models", "audio"),
    ],
    "meta.host": ["cpu", "cores", "memory_gib", "os", "python"],
    "meta.models.0": ["role", "name", "source", "sha256", "licence"],
    "meta.audio": ["input", "output", "block_ms", "output_latency_ms"],
    "turns.0": [
        *("caller", "kind", "text", "true_end_s", "audible_s", "voice_to_voice_ms", "cut_in"),
        *("overlap_ms", "missed", "transcript", "reply", "marks", "breakdown_ms", "drafts"),
    ],
    "turns.0.breakdown_ms": ["endpoint", "asr", "llm", "tts", "output", "unattributed"],
    "turns.0.drafts": ["started", "used", "discarded", "discarded_tokens"],
    "summary": [
        *("turns", "answered", "missed", "cut_ins", "cut_in_rate", "voice_to_voice_ms"),
        *("breakdown_ms", "word_error_rate", "draft_hit_rate", "cpu_seconds_per_turn"),
        "peak_rss_mib",
    ],
    "summary.voice_to_voice_ms": ["mean", "p50", "p90", "p95", "max", "p50_ci95", "p95_ci95"],
    "summary.breakdown_ms": ["endpoint", "asr", "llm", "tts", "output", "unattributed"],
}
FIELDS = [(place, name) for place, names in CONTRACT.items() for name in names]


def at(data: Any, place: str) -> Any:
    for step in filter(None, place.split(".")):
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


def test_the_factory_run_fits_the_schema() -> None:
    data = to_json(a_realistic_run(30))
    assert data["schema"] == SCHEMA
    validate_run(data)


@pytest.mark.parametrize(("place", "name"), FIELDS)
def test_every_contract_field_is_written_and_required(place: str, name: str) -> None:
    data = to_json(a_run([a_turn()]))
    del at(data, place)[name]
    with pytest.raises(VoicebotError, match=f"'{name}' is a required property"):
        validate_run(data)


@pytest.mark.parametrize(("place", "name"), FIELDS)
def test_every_contract_field_is_typed(place: str, name: str) -> None:
    data = to_json(a_run([a_turn()]))
    at(data, place)[name] = object
    with pytest.raises(VoicebotError, match=r"not a voicebot\.run/1 record, at "):
        validate_run(data)


def test_a_run_with_the_contract_alone_is_read() -> None:
    data = to_json(a_run([a_turn()]))

    def strip(value: object, place: str) -> object:
        if isinstance(value, list):
            return [strip(each, f"{place}.0".strip(".")) for each in value]
        if not isinstance(value, dict):
            return value
        kept = CONTRACT.get(place, value)
        return {name: strip(value[name], f"{place}.{name}".strip(".")) for name in kept}

    run = from_json(strip(data, ""))  # type: ignore[arg-type]
    assert run.turns[0].voice_to_voice_ms == 212.0
    assert run.summary.by_kind == {}


def test_unknown_fields_are_passed_over() -> None:
    data = to_json(a_run([a_turn()]))
    data["turns"][0]["mood"] = "calm"
    assert from_json(data) == a_run([a_turn()])


def test_a_run_survives_the_round_trip(tmp_path: Path) -> None:
    run = a_realistic_run(30)
    write_run(run, tmp_path / "new" / "run.json")
    assert read_run(tmp_path / "new" / "run.json") == run
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["run.json"]


def test_yields_survive_it_and_older_files_have_none(tmp_path: Path) -> None:
    run = a_run([a_turn(yield_ms=120.5), a_turn()])
    write_run(run, tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") == run
    data = to_json(run)
    for holder in (*data["turns"], data["summary"], *data["summary"]["by_kind"].values()):
        del holder["yield_ms"]
    older = from_json(data)
    assert older.turns[0].yield_ms is None
    assert older.summary.yield_ms.count == 0
    data["turns"][0]["yield_ms"] = "soon"
    with pytest.raises(VoicebotError, match="yield_ms"):
        validate_run(data)


def test_a_partial_run_says_so(tmp_path: Path) -> None:
    write_run(a_run([a_turn(None)], partial=True), tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["partial"] is True
    assert read_run(tmp_path / "run.json").partial


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    turn = a_turn(marks={"commit": np.float32(12.5), "tokens": np.int64(3)})
    written = to_json(a_run([turn]))["turns"][0]["marks"]
    assert json.dumps(written) == '{"commit": 12.5, "tokens": 3}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused_by_its_place(value: float) -> None:
    with pytest.raises(ValueError, match=r"turns\[0\]\.marks\.commit is (nan|inf)"):
        to_json(a_run([a_turn(marks={"commit": value})]))


def test_a_failed_write_leaves_the_old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_run(a_run([a_turn()]), path)
    before = path.read_text()

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match=r"cannot write .*: No space left on device: .*--out"):
        write_run(a_run([]), path)
    assert path.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write_run(a_run([]), tmp_path / "file" / "run.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read .*No such file"),
        ("{", "is not JSON"),
        ("[]", "not a voicebot.run/1 record, at the file"),
        ('{"schema": "voicebot.run/2"}', "not a voicebot.run/1 record"),
    ],
)
def test_what_is_no_run_is_refused_clearly(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(VoicebotError, match=problem):
        read_run(path)


def test_a_breakdown_sums_to_its_total() -> None:
    turn = a_turn(212.0)
    assert turn.breakdown_ms is not None
    assert turn.breakdown_ms.total_ms == pytest.approx(212.0)
    assert replace(turn.breakdown_ms, tts=0.0).total_ms < 212.0
