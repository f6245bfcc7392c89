"""Lines of the log on their way to the broker: bounded and not too many."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from voicebot.mqtt.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LogLines"]

_LINES_PER_S = 2.0
_LINES_BURST = 20.0
_LINES_WAITING_MAX = 100
_CHARACTERS_MAX = 500
_OWN = "voicebot.mqtt"  # what goes wrong in sending would beget the next line to send


class LogLines(logging.Handler):
    """A handler that keeps lines until they are taken; any thread may log.

    Args:
        level: lines below it are left out.
        wake: called, on the thread that logs, when a line has come.
        secret: what must not stand in a line; None for nothing.
    """

    def __init__(
        self, level: int, *, wake: Callable[[], None] = lambda: None, secret: str | None = None
    ) -> None:
        super().__init__(level)
        self._wake = wake
        self._secret = secret
        self._rate = RateLimit(per_s=_LINES_PER_S, burst=_LINES_BURST)
        self._waiting: deque[str] = deque()
        self._suppressed = 0
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, or count it as suppressed."""
        if record.name == _OWN or record.name.startswith(_OWN + "."):
            return
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format is the logger's fault, not ours
            text = str(record.msg)
        if self._secret:
            text = text.replace(self._secret, "***")
        with self._guard:
            full = len(self._waiting) >= _LINES_WAITING_MAX
            if full or not self._rate.allows(record.created):
                self._suppressed += 1
                return
            line = {
                "at": datetime.fromtimestamp(record.created, UTC).isoformat(
                    timespec="milliseconds"
                ),
                "level": record.levelname.lower(),
                "logger": record.name,
                "text": text[:_CHARACTERS_MAX],
                "suppressed": self._suppressed,
            }
            self._suppressed = 0
            self._waiting.append(json.dumps(line, ensure_ascii=False))
        self._wake()

    def take(self) -> str | None:
        """The oldest line as JSON; None if none waits."""
        with self._guard:
            return self._waiting.popleft() if self._waiting else None
