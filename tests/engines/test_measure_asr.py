from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

TOOL = Path(__file__).parents[2] / "tools" / "measure_asr.py"


@pytest.fixture(scope="module")
def measure_asr() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("measure_asr", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_asr"] = module  # its dataclasses look there for their annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules["measure_asr"]


@pytest.mark.parametrize(
    ("partials", "settled"),
    [
        ([(1.0, "how old")], [1.0, 1.0]),
        ([(1.0, "how"), (2.0, "how old"), (3.0, "how old is")], [1.0, 2.0, 3.0]),
        ([(1.0, "how"), (2.0, "who"), (3.0, "how old")], [3.0, 3.0]),
        ([(1.0, "how cold is"), (2.0, "how old is"), (3.0, "how old is")], [1.0, 2.0, 2.0]),
        ([(1.0, "how old is"), (2.0, "")], []),
    ],
)
def test_a_word_has_settled_once_it_and_those_before_it_stay(
    measure_asr: ModuleType, partials: list[tuple[float, str]], settled: list[float]
) -> None:
    split = [(at_s, text.split()) for at_s, text in partials]
    assert measure_asr._settled_at_s(split) == settled


@pytest.mark.models
def test_the_plan_of_a_shipped_turn_feeds_all_its_words_and_then_asks(
    measure_asr: ModuleType,
) -> None:
    vad = measure_asr.SileroVad(measure_asr.bundled_model_path())
    callers = measure_asr.load_callers(measure_asr.recorded_callers_dir(), kind="pause", limit=1)
    plan = measure_asr._plan(callers[0].turns[0], vad)
    feeds = [step for step in plan.steps if isinstance(step, measure_asr._Feed)]
    asks = [step for step in plan.steps if isinstance(step, measure_asr._Ask)]
    assert len(asks) == 2
    assert plan.steps[-1] in asks
    assert all(one.end == other.start for one, other in itertools.pairwise(feeds))
    spoken_s = plan.turn.words[0].start_s, plan.turn.words[-1].end_s
    fed_s = feeds[0].start / 16_000 - 0.5, feeds[-1].end / 16_000 - 0.5
    assert fed_s[0] < spoken_s[0]
    assert fed_s[1] > spoken_s[1]
