"""The ladder, its times, what they answer, and the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.bench.report.scaling_page import render_scaling, verdict_of
from voicebot.bench.scaling.answers import ScalingRun, ThreadResult, largest_models
from voicebot.bench.scaling.measure import (
    READ_TOKENS,
    WRITTEN_TOKENS,
    LadderTimes,
    measure_network,
)
from voicebot.bench.scaling.power_law import PowerLaw, fit_power_law, held_out_errors
from voicebot.bench.scaling.shape_true import LADDER, Rung, write_rung
from voicebot.cli.main import run
from voicebot.engines.onnx_network import OnnxNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = (13e6, 38e6, 135e6, 189e6, 362e6)
LAW = PowerLaw(5.0, 1.2e6, 1.0)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedNetwork:
    """Takes 1 ms a token read, and 0.001 ms for each token before it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.length = 0

    def keep(self, count: int) -> int:
        self.length = min(self.length, count)
        return self.length

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        self._clock.now_s += len(token_ids) * (1e-3 + 1e-6 * self.length)
        self.length += len(token_ids)
        return np.zeros((len(logits_at), 8), np.float32)


def test_times_are_of_the_context_that_was_asked_for() -> None:
    clock, times = Clock(), LadderTimes()
    network = TimedNetwork(clock)
    measure_network(network, times, contexts=(100, 500), clock=clock)  # type: ignore[arg-type]
    assert times.write[100] == [pytest.approx(1.1055, abs=0.001)]
    assert times.write[500] == [pytest.approx(1.5055, abs=0.001)]
    tokens = READ_TOKENS + WRITTEN_TOKENS - 1
    assert times.first_clause[0] == pytest.approx(tokens * 1.1, rel=0.02)
    assert network.length == 500


def test_the_ladder_climbs_and_its_third_rung_is_a_published_shape() -> None:
    counts = [rung.parameters for rung in LADDER]
    assert counts == sorted(counts)
    assert LADDER[2].parameters == 134_515_008
    assert LADDER[2].name == "135M"
    assert LADDER[-1].name == "977M"


def test_a_rung_is_a_model_that_can_be_read(tmp_path: Path) -> None:
    folder = write_rung(Rung(2, 3), tmp_path)
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert facts["voicebot_weights"].startswith("shape-true")
    network = OnnxNetwork.load(folder, threads=1)
    logits = network.read([5, 6, 7], [2])
    assert logits.shape == (1, 49_152)
    assert np.isfinite(logits).all()
    before = sorted(path.name for path in folder.iterdir())
    assert write_rung(Rung(2, 3), tmp_path) == folder
    assert sorted(path.name for path in folder.iterdir()) == before


def a_result(threads: int = 1, target_ms: float = 100.0) -> ThreadResult:
    measured = {size: [LAW(size) * factor for factor in (0.99, 1.0, 1.01)] for size in SIZES}
    law = fit_power_law(measured)
    return ThreadResult(
        threads=threads,
        first_clause_ms=measured,
        write_ms={128: measured, 512: measured},
        law=law,
        context_law=None,
        context_size=SIZES[-1],
        held_out=held_out_errors(measured),
        largest=largest_models(law, SIZES, target_ms),
    )


def a_run(**changes: float) -> ScalingRun:
    return ScalingRun(
        "A CPU",
        2,
        "2026-01-01T00:00:00+00:00",
        dict.fromkeys(SIZES, "shape-true"),
        (a_result(1, **changes), a_result(2, **changes)),
    )


def test_the_largest_model_in_time_is_where_the_law_meets_the_target() -> None:
    here, twice, four = a_result().largest
    assert here.parameters == pytest.approx(1.2e6 * 95, rel=0.1)
    assert here.is_measured
    assert twice.parameters == pytest.approx(1.2e6 * 195, rel=0.1)
    assert four.parameters == pytest.approx(1.2e6 * 395, rel=0.1)
    assert not four.is_measured
    assert here.ci95 is not None
    assert here.ci95[0] <= here.parameters <= here.ci95[1]  # type: ignore[operator]


def test_no_model_is_in_time_where_even_the_smallest_is_too_slow() -> None:
    here, *_ = a_result(target_ms=7.0).largest
    assert here.parameters is None
    assert here.ci95 is None
    assert "No model of this ladder" in verdict_of(a_run(target_ms=7.0))


def test_the_page_says_what_weights_were_measured() -> None:
    page = render_scaling(a_run())
    assert "5 of 5 models have random weights" in page
    assert "twice the machine would carry" in page
    assert page.count('class="rung law-') == 10
    data = json.dumps(a_run().as_json())
    assert "resampled" not in data
    assert json.loads(data)["schema"] == "voicebot.scaling/1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "none"],
        ["--contexts", "0"],
        ["--largest", "0.05", "--ladder-dir", "LADDER", "--rounds", "1"],
    ],
)
def test_what_cannot_be_measured_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = (Rung(1, 3), Rung(2, 3))
    monkeypatch.setattr("voicebot.bench.scaling.shape_true.LADDER", tiny)
    given = [str(tmp_path / "ladder") if each == "LADDER" else each for each in arguments]
    out = ["--out", str(tmp_path / "out"), "--contexts", "16"]
    assert run(["bench", "scaling", *out, *given]) != 0
    assert "voicebot: error:" in capsys.readouterr().err


def test_a_ladder_is_measured_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = (Rung(1, 3), Rung(2, 3), Rung(2, 6), Rung(4, 6), Rung(6, 6))
    monkeypatch.setattr("voicebot.bench.scaling.shape_true.LADDER", tiny)
    out = tmp_path / "out"
    more = ["--threads", "1", "--contexts", "16,32", "--rounds", "2", "--target-ms", "1000"]
    ladder = ["--ladder-dir", str(tmp_path / "ladder")]
    assert run(["bench", "scaling", "--out", str(out), *more, *ladder]) == 0
    shown = capsys.readouterr().out
    assert "writes its first clause" in shown
    data = json.loads((out / "scaling.json").read_text(encoding="utf-8"))
    assert len(data["results"][0]["held_out"]) == 5
    assert (out / "scaling.html").exists()
