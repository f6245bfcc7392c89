"""How much is let through (pure)."""

from __future__ import annotations

__all__ = ["RateLimit"]


class RateLimit:
    """A bucket of permits that fills up steadily.

    Args:
        per_s: permits a second.
        burst: how many are there at most, and at first.
    """

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._permits = burst
        self._at_s: float | None = None

    def allows(self, now_s: float) -> bool:
        """Take a permit, if there is one.

        Args:
            now_s: of any clock that does not go back; if it does, nothing is gained.
        """
        if self._at_s is not None:
            gained = max(0.0, now_s - self._at_s) * self._per_s
            self._permits = min(self._burst, self._permits + gained)
        self._at_s = now_s
        if self._permits < 1.0:
            return False
        self._permits -= 1.0
        return True
