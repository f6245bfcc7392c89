"""What a program says of its own turns: the lines of its log, as they come.

The log is that of ``telemetry.turn_log`` (docs/telemetry.md). Any other program may write the same:
a JSON object a line, of which ``outcome``, ``latency_ms``, ``speech_end_at`` and
``first_sample_at`` are read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["OwnTurn", "TurnRecords", "nearest_turn", "parse_turn"]

_NEAR_S = 1.0


@dataclass(frozen=True, slots=True)
class OwnTurn:
    """A turn that was answered, by the program's own account.

    Attributes:
        latency_ms: from its estimate of the user's end to its first sample at the loudspeaker.
        speech_end_s: that estimate, as Unix time; None if it does not say.
        first_sample_s: that first sample, as Unix time; None if it does not say.
    """

    latency_ms: float
    speech_end_s: float | None
    first_sample_s: float | None


class TurnRecords:
    """Reads the lines that were appended since it last looked.

    Args:
        path: the log; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def take_new(self) -> list[OwnTurn]:
        """The answered turns since the last call; a line that is not finished is left for later."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                content = file.read()
        except OSError:
            return []
        whole, newline, _ = content.rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        turns = (parse_turn(line) for line in whole.split(b"\n"))
        return [turn for turn in turns if turn is not None]


def parse_turn(line: bytes) -> OwnTurn | None:
    """The turn on a line of the log; None if it was not answered or is no such line."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("outcome") != "answered":
        return None
    latency_ms = row.get("latency_ms")
    if isinstance(latency_ms, bool) or not isinstance(latency_ms, int | float):
        return None
    if not math.isfinite(latency_ms):
        return None
    return OwnTurn(
        float(latency_ms), _instant(row.get("speech_end_at")), _instant(row.get("first_sample_at"))
    )


def nearest_turn(turns: Sequence[OwnTurn], audible_s: float) -> OwnTurn | None:
    """The turn whose reply was heard at ``audible_s``.

    Args:
        turns: all that may be it, in order.
        audible_s: Unix time of the first audible sample in the recording.

    Returns:
        The one whose first sample is nearest and within a second; without any instants the last.
    """
    timed = [turn for turn in turns if turn.first_sample_s is not None]
    if not timed:
        return turns[-1] if turns else None
    best = min(timed, key=lambda turn: abs((turn.first_sample_s or 0.0) - audible_s))
    return best if abs((best.first_sample_s or 0.0) - audible_s) <= _NEAR_S else None


def _instant(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None
