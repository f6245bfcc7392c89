from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from voicebot import machine
from voicebot.machine import MachineFacts, kept_facts, measure_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FACTS = MachineFacts(cores=2, memory_bytes=8 * 1024**3, gflops=50.0, read_gb_s=10.0)


def never() -> MachineFacts:
    raise AssertionError("nothing is to be measured")


def test_it_is_measured_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "machine.json"
    calls: list[int] = []

    def measure() -> MachineFacts:
        calls.append(1)
        return FACTS

    assert kept_facts(is_busy=lambda: False, measure=measure, path=path) == FACTS
    assert kept_facts(is_busy=lambda: False, measure=measure, path=path) == FACTS
    assert len(calls) == 1
    kept_facts(anew=True, is_busy=lambda: False, measure=measure, path=path)
    assert len(calls) == 2


def test_what_was_measured_under_load_is_measured_again_once_it_is_quiet(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    slow = replace(FACTS, gflops=5.0, read_gb_s=11.0)
    assert kept_facts(is_busy=lambda: True, measure=lambda: slow, path=path) == slow
    assert kept_facts(is_busy=lambda: True, measure=never, path=path) == slow
    best = replace(FACTS, read_gb_s=11.0)  # the better of both
    assert kept_facts(is_busy=lambda: False, measure=lambda: FACTS, path=path) == best
    assert kept_facts(is_busy=lambda: False, measure=never, path=path) == best


def test_an_old_measurement_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    day_s = 24 * 3600.0

    def ask(day: int, measure: Callable[[], MachineFacts]) -> MachineFacts:
        return kept_facts(
            is_busy=lambda: False, measure=measure, path=path, now_s=lambda: day * day_s
        )

    assert ask(0, lambda: FACTS) == FACTS
    assert ask(29, never) == FACTS
    slower = replace(FACTS, gflops=1.0)
    assert ask(31, lambda: slower) == slower


def test_another_graphics_card_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    kept_facts(is_busy=lambda: False, measure=lambda: FACTS, path=path, card_bytes=lambda: 0)
    with_card = replace(FACTS, gpu_memory_bytes=24 * 1024**3)
    found = kept_facts(
        is_busy=lambda: False,
        measure=lambda: with_card,
        path=path,
        card_bytes=lambda: 24 * 1024**3,
    )
    assert found == with_card


def test_another_machine_or_version_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "machine.json"
    kept_facts(is_busy=lambda: False, measure=lambda: FACTS, path=path)
    monkeypatch.setattr(machine, "host_key", lambda: "another processor")
    other = MachineFacts(8, 1, 1.0, 1.0)
    assert kept_facts(is_busy=lambda: False, measure=lambda: other, path=path) == other


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "voicebot.machine/2"}', "{}"])
def test_a_damaged_cache_is_measured_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(content)
    assert kept_facts(is_busy=lambda: False, measure=lambda: FACTS, path=path) == FACTS


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (
        kept_facts(is_busy=lambda: False, measure=lambda: FACTS, path=tmp_path / "file" / "m.json")
        == FACTS
    )


def test_speeds_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_gpu_memory_bytes", lambda: 0)
    ticks = count()
    facts = measure_machine(clock=lambda: next(ticks) * 0.5)
    assert facts.gflops == pytest.approx(2 * 1024**3 / 0.5 / 1e9)
    assert facts.read_gb_s == pytest.approx(256 * 1024**2 / 0.5 / 1e9)
    assert facts.cores >= 1


def test_a_driver_that_fails_counts_as_no_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 8192; echo 24576\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda name: str(program))
    monkeypatch.setattr(machine, "_version", lambda package: "2.13.0")
    assert machine._gpu_memory_bytes() == 24576 * 1024**2
    program.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert machine._gpu_memory_bytes() == 0
    monkeypatch.setattr(machine, "_version", lambda package: "2.13.0+cpu")
    assert machine._gpu_memory_bytes() == 0
