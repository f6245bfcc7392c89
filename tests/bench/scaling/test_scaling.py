"""The ladder, its times, what they answer, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.bench.record import MachineState
from voicebot.bench.report.scaling_page import render_scaling, verdict_of
from voicebot.bench.scaling.answers import RealModel, ScalingRun, ThreadResult, largest_models
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
LAW = PowerLaw.of_x0(5.0, 1.2e6, 1.0)


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


def a_run(target_ms: float = 100.0, **changes: Any) -> ScalingRun:
    return replace(
        ScalingRun(
            cpu="A CPU",
            cores=2,
            started_at="2026-01-01T00:00:00+00:00",
            target_ms=target_ms,
            rounds=3,
            partial=False,
            results=(a_result(1, target_ms=target_ms), a_result(2, target_ms=target_ms)),
        ),
        **changes,
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
    assert "5 models have random weights" in page
    assert "twice the machine would carry" in page
    assert page.count('class="rung law-') == 10
    data = json.dumps(a_run().as_json())
    assert "resampled" not in data
    assert json.loads(data)["schema"] == "voicebot.scaling/2"


def test_the_verdict_tells_how_sure_it_is() -> None:
    assert "95 % interval" in verdict_of(a_run())


def test_a_real_model_stands_beside_the_ladder_even_if_it_is_as_large_as_a_rung() -> None:
    values = [9.0, 9.0, 9.0]
    real = {"a-model": RealModel(SIZES[2], values, {128: values, 512: values})}
    result = replace(a_result(), real=real)
    page = render_scaling(a_run(results=(result,)))
    assert page.count('class="rung law-') == 5
    assert page.count('class="real law-') == 1
    assert "a-model" in page


def test_times_without_a_law_are_shown_as_they_are() -> None:
    bare = replace(a_result(), law=None, largest=(), held_out=(), no_law="too <noisy>")
    run_ = a_run(results=(bare,), partial=True, rounds=2)
    page = render_scaling(run_)
    assert "There is no law for 1 thread(s): too &lt;noisy&gt;" in page
    assert "ended early, after 2 of the rounds" in page
    assert page.count('class="rung law-') == 5
    assert "No law could be told" in verdict_of(run_)
    assert run_.as_json()["partial"] is True


def test_an_unquiet_machine_is_a_caveat_of_the_page() -> None:
    state = MachineState(3.0, 0.4, 0.0, 0, 0.001)
    assert "Other programs took 40 % of the machine" in render_scaling(a_run(machine=state))
    assert "Other programs" not in render_scaling(a_run())


TINY = (Rung(1, 3), Rung(2, 3), Rung(2, 6), Rung(4, 6), Rung(6, 6))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threads", "none"], "--threads"),
        (["--contexts", "0"], "--contexts"),
        (["--contexts", "8180"], "more than the ladder holds"),
        (["--largest", "0.012"], "has 2 sizes"),
        (["--largest", "1.5"], "--largest"),
        (["--out", "FILE"], "nothing can be written"),
        (["--model", "FOLDER"], "no language model"),
    ],
)
def test_what_cannot_be_measured_is_one_line_before_anything_is_made(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicebot.bench.scaling.shape_true.LADDER", TINY)
    (tmp_path / "file").write_text("")
    places = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path)}
    given = [places.get(each, each) for each in arguments]
    ladder = tmp_path / "ladder"
    out = ["--out", str(tmp_path / "out"), "--contexts", "16", "--ladder-dir", str(ladder)]
    assert run(["bench", "scaling", *out, *given]) != 0
    error = capsys.readouterr().err
    assert "voicebot: error:" in error
    assert said in error
    assert not ladder.exists()


class ClockedNetwork:
    """A real network on a clock of its own, on which a token takes as long as its size says."""

    def __init__(self, network: OnnxNetwork, token_s: float, clock: Clock) -> None:
        self._network, self._token_s, self._clock = network, token_s, clock

    def keep(self, count: int) -> int:
        return self._network.keep(count)

    def read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        self._clock.now_s += self._token_s * len(token_ids)
        return self._network.read(token_ids, logits_at)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models whose times follow a law, whatever else the machine does."""
    clock, load = Clock(), OnnxNetwork.load
    monkeypatch.setattr("voicebot.bench.scaling.shape_true.LADDER", TINY)
    monkeypatch.setattr(
        "voicebot.bench.scaling.measure.measure_network", partial(measure_network, clock=clock)
    )

    def clocked_load(folder: Path, *, threads: int) -> ClockedNetwork:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rung = Rung(facts["num_hidden_layers"], facts["num_attention_heads"])
        token_s = (2.0 + (rung.parameters / 5e6) ** 0.9) / 1000 / threads
        return ClockedNetwork(load(folder, threads=threads), token_s, clock)

    monkeypatch.setattr(OnnxNetwork, "load", clocked_load)


@pytest.mark.usefixtures("clocked")
def test_a_ladder_is_measured_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, ladder = tmp_path / "out", tmp_path / "ladder"
    more = ["--threads", "1", "--contexts", "16,32", "--rounds", "2", "--target-ms", "70"]
    assert run(["bench", "scaling", "--out", str(out), *more, "--ladder-dir", str(ladder)]) == 0
    shown = capsys.readouterr().out
    assert "With 1 thread, a language model of up to" in shown
    data = json.loads((out / "scaling.json").read_text(encoding="utf-8"))
    (result,) = data["results"]
    assert len(result["held_out"]) == 5
    assert result["law"]["law"]["slope"] == pytest.approx(0.9, rel=0.1)
    assert (data["rounds"], data["partial"]) == (2, False)
    assert (out / "scaling.html").exists()


@pytest.mark.usefixtures("clocked")
def test_what_was_measured_before_ctrl_c_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebot.bench.scaling import measure  # noqa: PLC0415 - as the fixture left it

    clocked_measure = measure.measure_network

    def until_the_second_round(*arguments: Any, seed: int = 0, **named: Any) -> None:
        if seed == 2:
            raise KeyboardInterrupt
        clocked_measure(*arguments, seed=seed, **named)

    monkeypatch.setattr(measure, "measure_network", until_the_second_round)
    out = tmp_path / "out"
    more = ["--threads", "1", "--contexts", "16", "--ladder-dir", str(tmp_path / "ladder")]
    assert run(["bench", "scaling", "--out", str(out), *more]) == 130
    data = json.loads((out / "scaling.json").read_text(encoding="utf-8"))
    assert (data["rounds"], data["partial"]) == (1, True)
    assert data["results"][0]["law"] is not None
    assert "ended early" in (out / "scaling.html").read_text(encoding="utf-8")
