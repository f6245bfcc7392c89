"""How fast the bot has answered lately (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.kiosk.page_messages import Latency
from voicebot.timeline import Mark, break_down

if TYPE_CHECKING:
    from voicebot.events import TurnClosed

__all__ = ["Latencies", "LatencySummary"]

_KEPT = 500


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Percentiles of the latest answers, in milliseconds; None without one.

    Attributes:
        turns: how many answers they are of.
        p50_ms: to the first sample at the loudspeaker.
        p95_ms: the same.
        page_p50_ms: to the first audible sample as the page saw it leave.
        page_p95_ms: the same.
    """

    turns: int
    p50_ms: float | None
    p95_ms: float | None
    page_p50_ms: float | None
    page_p95_ms: float | None


class Latencies:
    """The latest answers' latencies, across visitors; figures only, no words."""

    def __init__(self) -> None:
        self._total_ms: deque[float] = deque(maxlen=_KEPT)
        self._page_ms: deque[float] = deque(maxlen=_KEPT)

    def add(self, closed: TurnClosed, audible_s: float | None) -> Latency | None:
        """Take a turn that is over.

        Args:
            closed: the turn.
            audible_s: when its first audible sample left the page; None if that is not known.

        Returns:
            What the page is to show; None for a turn without an answer.
        """
        left_s = closed.timeline.marks.get(Mark.LEFT_SINK)
        if closed.speech_end_s is None or left_s is None:
            return None
        parts = break_down(closed.timeline, end_s=closed.speech_end_s, audible_s=left_s)
        if parts is None:
            return None
        page_ms = None if audible_s is None else (audible_s - closed.speech_end_s) * 1000.0
        self._total_ms.append(parts.total_ms)
        if page_ms is not None:
            self._page_ms.append(page_ms)
        return Latency(
            turn=closed.turn,
            total_ms=round(parts.total_ms, 1),
            parts_ms={
                "endpoint": round(parts.endpoint, 1),
                "asr": round(parts.asr, 1),
                "llm": round(parts.llm, 1),
                "tts": round(parts.tts, 1),
                "output": round(parts.output, 1),
                "unattributed": round(parts.unattributed, 1),
            },
            page_ms=None if page_ms is None else round(page_ms, 1),
            p50_ms=_percentile(self._total_ms, 50) or 0.0,
            p95_ms=_percentile(self._total_ms, 95) or 0.0,
            turns=len(self._total_ms),
        )

    def summary(self) -> LatencySummary:
        """The percentiles."""
        return LatencySummary(
            turns=len(self._total_ms),
            p50_ms=_percentile(self._total_ms, 50),
            p95_ms=_percentile(self._total_ms, 95),
            page_p50_ms=_percentile(self._page_ms, 50),
            page_p95_ms=_percentile(self._page_ms, 95),
        )


def _percentile(values: deque[float], percent: float) -> float | None:
    return round(float(np.percentile(list(values), percent)), 1) if values else None
