"""The fused probability and the numbers that ship."""

from __future__ import annotations

import json
import math
from importlib import resources

import pytest

from voicebot.text.spelled import is_spelled
from voicebot.turns.evidence import Look, Reading, TurnEvidence
from voicebot.turns.fusion import FEATURES, cut_in_cost_ms, features, fused_model


def test_the_model_that_ships_knows_every_feature() -> None:
    model = fused_model()
    assert set(model.weights) == set(model.means) == set(FEATURES)
    assert model.weights["sound"] > 0
    assert model.weights["words_end"] > 0
    assert model.pause_mean_ms > 0


def test_the_figures_that_ship_are_of_held_out_speakers() -> None:
    text = resources.files("voicebot.turns").joinpath("fusion.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    checked = facts["cross_validated"]
    assert facts["fitted_to"]["speakers"] > 20
    assert 0.5 < checked["area_under_curve"] < 1
    counted = sum(part["silences"] for part in checked["reliability"])
    assert counted == facts["fitted_to"]["silences"]
    for part in checked["reliability"]:
        assert part["from"] <= part["predicted"] <= part["to"]


def test_finished_questions_are_likelier_over_than_unfinished_ones() -> None:
    model = fused_model()
    over = TurnEvidence(
        (Look(64, 0.97), Look(96, 0.98)), Reading("what is the capital of france", 0.6)
    )
    open_end = TurnEvidence((Look(64, 0.05), Look(96, 0.04)), Reading("what is the capital", 0.01))
    assert model.log_odds(over) > 2
    assert model.log_odds(open_end) < 0
    assert model.log_odds(TurnEvidence()) == pytest.approx(
        model.intercept + sum(model.weights[name] * model.means[name] for name in FEATURES[:-1])
    )


def test_features_are_what_the_page_says() -> None:
    found = features(
        TurnEvidence((Look(64, 0.5), Look(900, 0.99)), Reading("my name is c a", 0.099, 0.8), 5),
        latest_look_ms=140,
    )
    assert found == {
        "sound": pytest.approx(0.0),
        "words_end": pytest.approx(math.log(0.1)),
        "confidence": 0.8,
        "length": pytest.approx(math.log(5)),
        "spelled": 1.0,
        "earlier_pauses": 3.0,
    }
    unheard = features(TurnEvidence((Look(900, 0.5),), Reading("", None)), latest_look_ms=140)
    assert unheard["sound"] == pytest.approx(0.0), "a late first look is better than none"
    assert unheard["words_end"] == pytest.approx(math.log(0.002))


def test_eagerness_is_a_price() -> None:
    assert [round(cut_in_cost_ms(e)) for e in (0, 0.5, 1)] == [65_000, 6_500, 650]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("my name is c a r", True),
        ("four one five", True),
        ("call 7", True),
        ("so do i", False),
        ("turn on the light", False),
        ("", False),
    ],
)
def test_spelling_is_told_by_the_last_word(text: str, spelled: bool) -> None:
    assert is_spelled(text) is spelled
