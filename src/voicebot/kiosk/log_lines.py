"""The latest lines of the log, for the technician's view."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LogLine", "LogLines", "keep_log_lines"]

from dataclasses import dataclass

_KEPT = 200
_CHARACTERS_MAX = 500
_LOGGERS = ("voicebot", "uvicorn.error")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: when (ISO 8601, UTC), how bad, from where, what."""

    at: str
    level: str
    logger: str
    text: str


class LogLines(logging.Handler):
    """Keeps the latest lines in memory."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The lines, oldest first."""
        return tuple(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        text = record.getMessage()[:_CHARACTERS_MAX]
        self._lines.append(LogLine(at, record.levelname.lower(), record.name, text))


@contextmanager
def keep_log_lines() -> Iterator[LogLines]:
    """Keep what is logged until the context is left."""
    kept = LogLines()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(kept)
    try:
        yield kept
    finally:
        for logger in loggers:
            logger.removeHandler(kept)
