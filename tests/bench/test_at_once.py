from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from voicebot.bench.alternation import Player
from voicebot.bench.at_once import Traffic, arrival_instants_s, play_at_once
from voicebot.bench.runner import Measurements

if TYPE_CHECKING:
    from voicebot.bench.callers import Caller
    from voicebot.bench.runner import BenchRunner


def test_arrivals_are_random_seeded_and_of_the_right_rate() -> None:
    instants = arrival_instants_s(2000, 30.0, 4)
    assert instants[0] == 0.0
    assert list(instants) == sorted(instants)
    assert instants[-1] / 2000 == pytest.approx(2.0, rel=0.1)
    assert instants == arrival_instants_s(2000, 30.0, 4)
    assert arrival_instants_s(3, None, 0) == (0.0, 0.0, 0.0)


class Line:
    """Plays a caller in so many seconds of the loop's time and notes when."""

    def __init__(self, played: list[tuple[str, float, float]], length_s: float) -> None:
        self._played = played
        self._length_s = length_s
        self.waits_s: dict[str, float] = {}

    async def play(self, caller: str, into: Measurements, *, queue_wait_s: float) -> None:
        self.waits_s[caller] = queue_wait_s
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await asyncio.sleep(self._length_s)
        self._played.append((caller, begun_s, loop.time()))


def played(arrivals_s: tuple[float, ...], lines: int, length_s: float) -> list[Any]:
    found: list[tuple[str, float, float]] = []

    async def main() -> float:
        players = [
            Player(cast("BenchRunner", Line(found, length_s)), Measurements()) for _ in range(lines)
        ]
        begun_s = asyncio.get_running_loop().time()
        callers = cast("list[Caller]", [f"c{index}" for index in range(len(arrivals_s))])
        await play_at_once(callers, players, arrivals_s=arrivals_s)
        assert all(player.measured.is_complete for player in players)
        return begun_s

    begun_s = asyncio.run(main())
    return sorted((name, start - begun_s, end - begun_s) for name, start, end in found)


def test_two_are_on_the_line_at_once_and_the_third_waits() -> None:
    (_, *first), (_, *second), (_, *third) = played((0.0, 0.0, 0.0), 2, 0.1)
    assert second[0] < first[1]
    assert third[0] >= min(first[1], second[1])


def test_nobody_is_played_before_they_call() -> None:
    calls = played((0.0, 0.05, 0.1), 3, 0.01)
    for (_, start_s, _), arrival_s in zip(calls, (0.0, 0.05, 0.1), strict=True):
        assert start_s >= arrival_s - 0.001


def test_how_long_a_caller_waited_for_a_free_line_is_told() -> None:
    line = Line([], 0.2)

    async def main() -> None:
        player = Player(cast("BenchRunner", line), Measurements())
        callers = cast("list[Caller]", ["first", "second"])
        await play_at_once(callers, [player], arrivals_s=(0.0, 0.05))

    asyncio.run(main())
    assert line.waits_s["first"] < line.waits_s["second"]
    assert line.waits_s["second"] > 0.1


def test_arrivals_count_on_one_line_too() -> None:
    assert Traffic().is_one_after_the_other
    assert not Traffic(1, 12.0).is_one_after_the_other
    assert not Traffic(2).is_one_after_the_other
