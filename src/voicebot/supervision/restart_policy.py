"""When a stage's engine is to be replaced, and when that has been tried enough (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["RestartPolicy", "RestartRules"]

_HOUR_S = 3600.0
_WAIT_FIRST_S = 0.5
_WAIT_MOST_S = 60.0
_CALM_S = 120.0


@dataclass(frozen=True, slots=True)
class RestartRules:
    """The settings.

    Attributes:
        failures_in_a_row: so many replace the engine; one that hangs is replaced at once.
        restarts_per_hour: more of them ask for a new process.
        hung_threads_max: so many threads may hang; one more asks for a new process.
    """

    failures_in_a_row: int = 2
    restarts_per_hour: int = 20
    hung_threads_max: int = 3


class RestartPolicy:
    """Counts one stage's failures.

    Args:
        rules: the settings.
    """

    def __init__(self, rules: RestartRules) -> None:
        self._rules = rules
        self._failures = 0
        self._restarts_s: deque[float] = deque()

    def succeeded(self) -> None:
        """The stage did what it was asked."""
        self._failures = 0

    def failed(self, *, is_stuck: bool) -> bool:
        """The stage failed; says whether its engine is to be replaced."""
        self._failures += 1
        return is_stuck or self._failures >= self._rules.failures_in_a_row

    def why_not(self, now_s: float, hung_threads: int) -> str:
        """Why the engine must not be replaced once more; empty if it may be.

        Args:
            now_s: of a clock that does not go back.
            hung_threads: those that would hang then.
        """
        while self._restarts_s and self._restarts_s[0] < now_s - _HOUR_S:
            self._restarts_s.popleft()
        if len(self._restarts_s) >= self._rules.restarts_per_hour:
            return f"it was replaced {len(self._restarts_s)} times within an hour"
        if hung_threads > self._rules.hung_threads_max:
            return f"{hung_threads} of its threads hang"
        return ""

    def begin(self, now_s: float) -> float:
        """The engine is being replaced; gives how long to wait before it is built.

        None the first time, then ever longer, so that a broken engine does not keep the machine
        busy with loading it.
        """
        recent = sum(at_s > now_s - _CALM_S for at_s in self._restarts_s)
        self._restarts_s.append(now_s)
        self._failures = 0
        if recent == 0:
            return 0.0
        return min(_WAIT_MOST_S, _WAIT_FIRST_S * 2.0 ** (recent - 1))
