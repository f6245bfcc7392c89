"""Plays every caller to several variants by turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.variants import play_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.callers import Caller
    from voicebot.bench.runner import BenchRunner, Measurements

__all__ = ["Player", "play_alternately"]


@dataclass(frozen=True, slots=True)
class Player:
    """A variant's runner and what it has measured."""

    runner: BenchRunner
    measured: Measurements


async def play_alternately(
    callers: Sequence[Caller], players: Sequence[Player], *, seed: int
) -> None:
    """Play all callers to all players; see ``play_schedule`` for the order.

    Raises:
        AudioFileError: a clip cannot be read.
        EngineError: voice activity failed for good.
    """
    for play in play_schedule(len(callers), len(players), seed):
        player = players[play.variant]
        await player.runner.play(callers[play.caller], player.measured)
    for player in players:
        player.measured.is_complete = True
