from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from voicebot.bench.report.svg import Scale, element, round_step, span

edges = st.floats(min_value=-1e5, max_value=1e5)


def test_an_axis_must_go_somewhere() -> None:
    with pytest.raises(ValueError, match=r"an axis cannot go from 5\.0 to 5\.0"):
        Scale(5.0, 5.0)


@given(edges, st.floats(min_value=1e-2, max_value=1e5), edges)
def test_every_value_has_a_place_on_the_axis(low: float, width: float, value: float) -> None:
    scale = Scale(low, low + width)
    assert 0.0 <= scale.fraction(value) <= 1.0
    assert scale.fraction(low) == 0.0
    assert scale.fraction(low + width) == pytest.approx(1.0)


@given(edges, st.floats(min_value=1.0, max_value=1e5), st.integers(min_value=2, max_value=12))
def test_ticks_are_few_and_on_the_axis(low: float, width: float, about: int) -> None:
    scale = Scale(low, low + width)
    ticks = scale.ticks(about)
    assert len(ticks) <= about + 1
    assert all(low - 1e-3 <= tick <= low + width + 1e-3 for tick in ticks)


@pytest.mark.parametrize(("at_least", "step"), [(0.7, 1), (1, 1), (1.2, 2), (21, 50), (60, 100)])
def test_steps_are_round(at_least: float, step: float) -> None:
    assert round_step(at_least) == pytest.approx(step)


def test_texts_and_attributes_are_escaped_and_markup_is_not() -> None:
    written = element("text", "<b>", Markup("<i/>"), class_='"', data_x="<", y=None)
    assert written == '<text class="&#34;" data-x="&lt;">&lt;b&gt;<i/></text>'


def test_a_backward_span_is_drawn_forward() -> None:
    scale = Scale(0.0, 100.0)
    there = span(scale, 20, 60, top=0, height=1, class_="")
    assert there == span(scale, 60, 20, top=0, height=1, class_="")
    assert 'x="20.00%"' in there
    assert 'width="40.00%"' in there
