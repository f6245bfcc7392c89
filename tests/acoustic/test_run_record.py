"""From turns to figures, the file and the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from voicebot.acoustic.bias import bias_of
from voicebot.acoustic.report import markdown_report
from voicebot.acoustic.run_record import (
    AcousticRun,
    AcousticTurn,
    acoustic_schema,
    summarise,
    to_json,
    with_own_figure,
)
from voicebot.bench.record import Host

TURN = AcousticTurn(
    caller="a.flac",
    kind="turn",
    true_end_s=2.0,
    audible_s=2.3,
    voice_to_voice_ms=300.0,
    missed=False,
    cut_in=False,
    overlap_ms=0.0,
    software_ms=260.0,
    difference_ms=40.0,
    end_difference_ms=45.0,
    start_difference_ms=-5.0,
    match=0.99,
    stretch_ms=0.0,
    level_dbfs=-20.0,
    reply_level_dbfs=-18.0,
)
SILENT = replace(
    TURN, caller="b|c", audible_s=None, voice_to_voice_ms=None, missed=True, software_ms=None,
    difference_ms=None, end_difference_ms=None, start_difference_ms=None, reply_level_dbfs=None,
    warnings=("clipped",),
)  # fmt: skip


def a_run(*turns: AcousticTurn) -> AcousticRun:
    host = Host("a cpu", 2, 4.0, "an os", "3.11")
    return AcousticRun(
        started_at="2026-01-01T00:00:00+00:00",
        version="0",
        host=host,
        target="voicebot chat",
        room="a virtual room",
        sample_rate_hz=48_000,
        stereo=True,
        partial=False,
        turns=turns,
        summary=summarise(turns),
    )


def test_the_bias_and_its_spread() -> None:
    bias = bias_of([10.0, 20.0, 30.0])
    assert (bias.turns, bias.mean, bias.p50, bias.sd) == (3, 20.0, 20.0, 10.0)
    assert bias.mean_ci95 is not None
    assert bias.mean_ci95[0] < 20.0 < bias.mean_ci95[1]
    assert bias_of([5.0]).sd is None
    assert bias_of([]).mean is None


@pytest.mark.parametrize("turns", [(), (TURN,), (TURN, SILENT, replace(TURN, software_ms=280.0))])
def test_the_file_fits_its_schema(turns: tuple[AcousticTurn, ...]) -> None:
    content = json.loads(to_json(a_run(*turns)))
    jsonschema.validate(content, acoustic_schema())
    assert content["summary"]["turns"] == len(turns)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "turns": None}, acoustic_schema())


def test_every_field_of_a_turn_stands_in_the_schema() -> None:
    content = json.loads(to_json(a_run(TURN)))
    described = acoustic_schema()["properties"]["turns"]["items"]["properties"]
    assert set(content["turns"][0]) == set(described)


def test_turns_without_a_reply_count_but_give_no_difference() -> None:
    summary = summarise([TURN, SILENT])
    assert (summary.turns, summary.answered, summary.missed) == (2, 1, 1)
    assert summary.difference.turns == 1


def test_what_the_own_recording_says_is_held_against_the_room() -> None:
    turn = with_own_figure(TURN, 293.0)
    assert (turn.own_recording_ms, turn.device_difference_ms) == (293.0, 7.0)
    assert with_own_figure(TURN, None).device_difference_ms is None
    assert with_own_figure(SILENT, 293.0).device_difference_ms is None
    assert summarise([turn]).device_difference.mean == 7.0


def test_the_report_shows_both_figures_and_survives_odd_names() -> None:
    page = markdown_report(a_run(TURN, SILENT))
    assert "| a.flac | 300 | 260 | +40 | +45 | -5 | — | — |  |" in page
    assert "b\\|c" in page
    assert "+40.0 ms" in page
    bare = replace(TURN, software_ms=None, difference_ms=None)
    assert "software figure" not in markdown_report(a_run(bare))
