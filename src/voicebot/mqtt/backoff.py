"""How long to wait before the next attempt (pure)."""

from __future__ import annotations

__all__ = ["Backoff"]


class Backoff:
    """Waits that double up to a limit, each drawn at random from its upper half.

    The chance keeps many kiosks from coming back to a broker in the same instant.

    Args:
        first_s: the first wait, at most.
        most_s: no wait is longer.
    """

    def __init__(self, *, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._wait_s = first_s

    def next_s(self, chance: float) -> float:
        """The next wait.

        Args:
            chance: drawn from 0 to 1.
        """
        wait_s = self._wait_s
        self._wait_s = min(self._most_s, 2.0 * wait_s)
        return wait_s * (0.5 + 0.5 * chance)

    def reset(self) -> None:
        """An attempt worked: begin anew."""
        self._wait_s = self._first_s
