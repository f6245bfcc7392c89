"""How long a stage may give no sign of life, judged by its own pace (pure)."""

from __future__ import annotations

from collections import deque

__all__ = ["Patience"]

_STEPS_KEPT = 50
_STEPS_NEEDED = 5
_TIMES_SLOWEST = 5.0


class Patience:
    """Learns from the steps that went well.

    A fixed limit is wrong on one machine or the other: a language model that reads a long
    conversation rightly takes seconds on a small one, and a voice that usually needs 50 ms is dead
    after one second.

    Args:
        shortest_s: no stage is called stuck sooner.
        longest_s: nor later; the limit while little is known.
    """

    def __init__(self, *, shortest_s: float, longest_s: float) -> None:
        self._shortest_s = min(shortest_s, longest_s)
        self._longest_s = longest_s
        self._steps_s: deque[float] = deque(maxlen=_STEPS_KEPT)

    @property
    def limit_s(self) -> float:
        """From here on the stage is stuck."""
        if len(self._steps_s) < _STEPS_NEEDED:
            return self._longest_s
        wanted_s = _TIMES_SLOWEST * max(self._steps_s)
        return min(self._longest_s, max(self._shortest_s, wanted_s))

    def note(self, took_s: float) -> None:
        """A step went well and took so long."""
        self._steps_s.append(took_s)

    def forget(self) -> None:
        """Begin anew: what was learnt may have been the mistake."""
        self._steps_s.clear()
