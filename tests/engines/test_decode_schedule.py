from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.engines.decode_schedule import DecodeSchedule


def test_a_decoding_is_due_every_so_often() -> None:
    schedule = DecodeSchedule(every_s=0.5, share=0.5)
    assert not schedule.is_due(0.49, pause_begins=False)
    assert schedule.is_due(0.5, pause_begins=False)
    schedule.decoded(0.5, took_s=0.1)
    assert not schedule.is_due(0.9, pause_begins=False)
    assert schedule.is_due(1.0, pause_begins=False)


def test_a_slow_machine_decodes_less_often() -> None:
    schedule = DecodeSchedule(every_s=0.5, share=0.5)
    schedule.decoded(1.0, took_s=0.6)
    assert not schedule.is_due(2.1, pause_begins=False)
    assert schedule.is_due(2.2, pause_begins=False)


def test_the_beginning_of_a_pause_is_decoded_early_but_not_again_and_again() -> None:
    schedule = DecodeSchedule(every_s=0.5, share=0.5)
    schedule.decoded(1.0, took_s=0.1)
    assert schedule.is_due(1.25, pause_begins=True)
    schedule.decoded(1.25, took_s=0.1)
    assert not schedule.is_due(1.35, pause_begins=True)


@settings(deadline=None)
@given(
    st.floats(0.1, 2.0),
    st.floats(0.05, 1.0),
    st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30),
)
def test_no_more_than_its_share_of_the_time_is_spent(
    every_s: float, share: float, costs_s: list[float]
) -> None:
    schedule = DecodeSchedule(every_s, share)
    spent_s = audio_s = 0.0
    costs = iter(costs_s)
    while (cost_s := next(costs, None)) is not None:
        while not schedule.is_due(audio_s, pause_begins=False):
            audio_s += 0.01
        assert spent_s <= share * audio_s + 1e-9
        schedule.decoded(audio_s, cost_s)
        spent_s += cost_s
