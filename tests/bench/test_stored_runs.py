"""Runs from files, side by side: what may be compared, and what may be said of it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from factories import a_meta, a_run, a_turn

from voicebot.bench.comparison import compare
from voicebot.bench.record import PlayedScenario, write_run
from voicebot.bench.stored_runs import StoredRun, changed_settings, obstacles, read_runs
from voicebot.bench.verdict import verdicts
from voicebot.errors import ConfigError, VoicebotError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voicebot.bench.record import TurnRecord


def turns(latencies: Sequence[float]) -> list[TurnRecord]:
    return [
        a_turn(latency, caller=f"{index}.wav", speaker=f"speaker-{index}")
        for index, latency in enumerate(latencies)
    ]


def test_runs_are_named_after_their_folders(tmp_path: Path) -> None:
    for folder in ("a/one", "b/one", "c/two"):
        write_run(a_run(turns([200.0])), tmp_path / folder / "run.json")
    write_run(a_run(turns([200.0])), tmp_path / "loose.json")
    paths = [tmp_path / "a/one", tmp_path / "b/one/run.json", tmp_path / "c/two"]
    stored = read_runs([*paths, tmp_path / "loose.json"])
    assert [each.name for each in stored] == ["one", "one (2)", "two", "loose"]


def test_one_run_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        read_runs([tmp_path])
    with pytest.raises(VoicebotError, match="cannot read"):
        read_runs([tmp_path, tmp_path])


def test_the_same_callers_on_the_same_machine_can_be_compared() -> None:
    runs = [StoredRun("a", a_run(turns([200.0, 300.0]))), StoredRun("b", a_run(turns([1.0, 2.0])))]
    assert obstacles(runs) == ()


def test_other_callers_machines_and_early_ends_stand_in_the_way() -> None:
    other_host = replace(a_meta(), host=replace(a_meta().host, cores=64))
    runs = [
        StoredRun("a", a_run(turns([200.0, 300.0]))),
        StoredRun("b", a_run(turns([200.0]))),
        StoredRun("c", a_run(turns([200.0, 300.0]), meta=other_host, partial=True)),
    ]
    found = obstacles(runs)
    assert any("b played different callers: 1.wav only in a" in each for each in found)
    assert any("different machines: cores 2 and 64" in each for each in found)
    assert any("c was ended early" in each for each in found)


def test_other_kinds_and_labels_stand_in_the_way() -> None:
    one = a_run([a_turn(200.0, kind="question"), a_turn(300.0, caller="b.wav")])
    noisy = a_run([a_turn(200.0, kind="question in babble"), a_turn(300.0, caller="b.wav")])
    moved = replace(one.turns[0], speech=((0.0, 9.0),))
    relabelled = a_run([moved, one.turns[1]])
    for other in (noisy, relabelled):
        (found,) = obstacles([StoredRun("a", one), StoredRun("b", other)])
        assert f"label differently: {one.turns[0].caller}" in found
        assert "b.wav" not in found


def test_another_scenario_or_other_traffic_stands_in_the_way() -> None:
    def played(scenario: PlayedScenario | None) -> StoredRun:
        return StoredRun("x", a_run(turns([200.0]), meta=replace(a_meta(), scenario=scenario)))

    quick, load = PlayedScenario("quick"), PlayedScenario("quick", 4, 12.0)
    assert obstacles([played(quick), played(quick)]) == ()
    (found,) = obstacles([played(None), played(quick)])
    assert "a folder of callers" in found
    (found,) = obstacles([played(quick), played(load)])
    assert "4 at once, 12 arrivals a minute" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [({"memory_gib": 1.5}, "memory"), ({"os": "Else"}, "system"), ({"python": "3.0"}, "Python")],
)
def test_every_fact_of_the_machine_is_compared(change: dict[str, object], said: str) -> None:
    host = replace(a_meta().host, **change)  # type: ignore[arg-type]
    other = a_run([], meta=replace(a_meta(), host=host))
    (found,) = obstacles([StoredRun("a", a_run([])), StoredRun("b", other)])
    assert said in found


def test_other_packages_are_told_and_stand_in_no_way() -> None:
    other = a_run([], meta=replace(a_meta(), packages={"numpy": "0.1"}))
    assert "numpy=0.1" in changed_settings(a_run([]), other)
    assert obstacles([StoredRun("a", a_run([])), StoredRun("b", other)]) == ()


def test_what_was_set_differently_is_told() -> None:
    changed = replace(
        a_meta(), config={"turns": {"hold_ms": 300, "draft_after_ms": 40}}, commit="fedcba9"
    )
    told = changed_settings(a_run([]), a_run([], meta=changed))
    assert told == ("llm.threads=none", "turns.hold_ms=300", "commit=fedcba9")


def said(before: Sequence[float], after: Sequence[float]) -> str:
    names = {"a": turns(before), "b": turns(after)}
    (sentence,) = verdicts(compare(names, {"a": (), "b": ()}))
    return sentence


def test_a_clear_difference_is_called_by_its_name() -> None:
    before = [300.0 + 10 * index for index in range(20)]
    sentence = said(before, [value - 80 for value in before])
    assert "faster by the median, -80 ms (-80 to -80)" in sentence
    assert "slower" not in sentence
    assert "slower by the mean" in said(before, [value + 80 for value in before])


def test_a_difference_that_may_be_chance_is_not_judged() -> None:
    before = [300.0 + 10 * index for index in range(20)]
    noisy = [value + (60 if index % 2 else -60) for index, value in enumerate(before)]
    sentence = said(before, noisy)
    assert "no verdict" in sentence
    assert "the mean differs by" in sentence
    assert "too few speakers for a verdict (1 of 10)" in said([300.0], [100.0])
    assert "too few speakers for a verdict (9 of 10)" in said([300.0] * 9, [100.0] * 9)


def test_faster_is_said_with_its_price_and_not_of_what_misses_more() -> None:
    before = turns([300.0 + 10 * index for index in range(20)])
    after = [replace(turn, voice_to_voice_ms=turn.voice_to_voice_ms - 80) for turn in before]  # type: ignore[operator]
    rude = [replace(after[0], cut_in=True, transcript="nothing of it"), *after[1:]]
    (sentence,) = verdicts(compare({"a": before, "b": rude}, {"a": (), "b": ()}))
    assert "faster by the mean" in sentence
    assert "as many misses, 1 more turn cut into, word error rate +" in sentence
    deaf = [replace(turn, voice_to_voice_ms=None, missed=True) for turn in after[:2]] + after[2:]
    (sentence,) = verdicts(compare({"a": before, "b": deaf}, {"a": (), "b": ()}))
    assert "faster" not in sentence
    assert "but 2 more misses" in sentence
    assert "slow turns may be those missed" in sentence


@pytest.mark.parametrize("speakers", [10, 15])
def test_the_same_configuration_twice_is_seldom_told_apart(speakers: int) -> None:
    """Speakers differ, and each is a little faster or slower on a day; so are single turns."""
    chance, plays, false_verdicts = random.Random(speakers), 60, 0  # noqa: S311 - no secret
    for _ in range(plays):
        played: tuple[list[TurnRecord], list[TurnRecord]] = ([], [])
        for speaker in range(speakers):
            slow = chance.gauss(300, 60)
            for run in played:
                day = chance.gauss(0, 20)
                run += [
                    a_turn(
                        slow + day + chance.gauss(0, 50),
                        caller=f"{speaker}-{clip}.wav",
                        speaker=f"speaker-{speaker}",
                    )
                    for clip in range(4)
                ]
        (sentence,) = verdicts(
            compare({"a": played[0], "b": played[1]}, {"a": (), "b": ()}, seed=plays)
        )
        false_verdicts += "faster" in sentence or "slower" in sentence
    assert false_verdicts <= plays * 0.07


def test_turns_that_nobody_shares_give_no_verdict() -> None:
    names = {"a": turns([200.0]), "b": [a_turn(200.0, caller="else.wav")]}
    (sentence,) = verdicts(compare(names, {"a": (), "b": ()}))
    assert "no turn has a latency in both" in sentence
