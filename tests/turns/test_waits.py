"""The rules that say how much silence ends a turn."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.turns.evidence import Look, Reading, TurnEvidence
from voicebot.turns.fusion import FEATURES, FusedModel, cut_in_cost_ms
from voicebot.turns.waits import FusedWait, PlainWait, SilenceWait, SmartTurnWait, WaitRule

MODEL = FusedModel(
    intercept=0.0,
    weights={**dict.fromkeys(FEATURES, 0.0), "sound": 1.0},
    means=dict.fromkeys(FEATURES, 0.0),
    pause_mean_ms=300.0,
    quickest_commit_ms=150.0,
    look_window_s=2.0,
    latest_look_ms=140.0,
    look_every_ms=32.0,
)
READING = Reading("how are you today", 0.5)

looks = st.lists(st.builds(Look, st.floats(32, 1500), st.floats(0, 1)), max_size=4).map(tuple)
readings = st.none() | st.builds(
    Reading, st.sampled_from(["", "stop", "c a r l", READING.text]), st.none() | st.floats(0, 1)
)
evidences = st.builds(
    TurnEvidence,
    looks,
    readings,
    st.integers(0, 9),
    st.lists(st.floats(0, 3000), max_size=5).map(tuple),
)
RULES: tuple[WaitRule, ...] = (FusedWait(), PlainWait(), SmartTurnWait(), SilenceWait())


def sounding(probability: float, **facts: object) -> TurnEvidence:
    evidence = TurnEvidence((Look(96, probability),), READING)
    return replace(evidence, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@given(evidence=evidences)
def test_every_rule_waits_a_finite_time_whatever_the_evidence(
    rule: WaitRule, evidence: TurnEvidence
) -> None:
    wait = rule.wait(evidence)
    assert rule.shortest_ms <= wait.wait_ms <= 1300
    assert rule.next_look_ms(64) > 64


@given(evidence=evidences, eagerness=st.floats(0, 0.9))
def test_more_eagerness_never_waits_longer(evidence: TurnEvidence, eagerness: float) -> None:
    for rule in (FusedWait, SmartTurnWait, SilenceWait):
        patient, eager = rule(eagerness), rule(eagerness + 0.1)
        assert eager.wait(evidence).wait_ms <= patient.wait(evidence).wait_ms


@given(lower=st.floats(0, 1), higher=st.floats(0, 1))
def test_a_surer_sound_never_waits_longer(lower: float, higher: float) -> None:
    lower, higher = sorted((lower, higher))
    rule = FusedWait(model=MODEL)
    assert rule.wait(sounding(higher)).wait_ms <= rule.wait(sounding(lower)).wait_ms


@pytest.mark.parametrize("probability", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("eagerness", [0.5, 0.6])
def test_the_fused_wait_costs_least_in_expectation(probability: float, eagerness: float) -> None:
    wait_ms = FusedWait(eagerness, shortest_ms=0, longest_ms=9000, model=MODEL).wait(
        sounding(probability)
    )

    def cost(waited_ms: float) -> float:
        goes_on = (1 - probability) * math.exp(-waited_ms / MODEL.pause_mean_ms)
        return probability * waited_ms + goes_on * cut_in_cost_ms(eagerness)

    least = min((cost(at), at) for at in range(0, 9000, 5))[1]
    assert wait_ms.wait_ms == pytest.approx(least, abs=5)


def test_unread_words_are_waited_for() -> None:
    rule = FusedWait(0.9, model=MODEL)
    assert rule.wait(sounding(0.99)).wait_ms == rule.shortest_ms
    assert rule.wait(sounding(0.99, reading=None)).wait_ms == rule.unread_ms


def test_a_user_of_long_pauses_is_waited_for() -> None:
    rule = FusedWait(model=MODEL)
    hasty = sounding(0.8, pauses_ms=(100.0,) * 6)
    slow = sounding(0.8, pauses_ms=(900.0,) * 6)
    assert rule.wait(hasty) == rule.wait(sounding(0.8))
    assert rule.wait(slow).wait_ms > rule.wait(hasty).wait_ms
    assert MODEL.user_pause_mean_ms((450.0,) * 8) == pytest.approx(300.0)


def test_late_looks_do_not_count_for_the_fused_wait() -> None:
    rule = FusedWait(model=MODEL)
    early = sounding(0.2)
    late = replace(early, looks=(*early.looks, Look(640, 0.99)))
    assert rule.wait(late) == rule.wait(early)
    assert rule.next_look_ms(96) == 128
    assert rule.next_look_ms(128) == math.inf


def test_smart_turn_alone_goes_by_its_one_look() -> None:
    rule = SmartTurnWait()
    assert rule.wait(sounding(0.99)).wait_ms == rule.longest_ms, "that look came too early"
    complete = TurnEvidence((Look(64, 0.0), Look(224, 0.7), Look(500, 0.1)))
    assert rule.wait(complete).wait_ms == rule.look_ms
    assert SmartTurnWait(0.2).wait(complete).wait_ms == rule.longest_ms


def test_silence_alone_waits_by_eagerness_only() -> None:
    assert SilenceWait(0.0).wait(sounding(0.99)).wait_ms == 1300
    assert SilenceWait(1.0).wait(sounding(0.0)).wait_ms == 96
