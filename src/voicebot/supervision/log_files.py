"""A log that rotates: bounded in size, with no secret in it."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from voicebot.config import SupervisionSettings

__all__ = ["log_to_files", "remove_old_logs"]

_MIB = 2**20


class _WithoutSecrets(logging.Formatter):
    """One line a record, in UTC, with secrets struck out, those in a traceback too."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        # The longest first: one may be part of another.
        self._secrets = sorted((one for one in secrets if one), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _QuietOnFullDisk(RotatingFileHandler):
    """Says once that it cannot write, not once a line."""

    _has_said_so = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not self._has_said_so:
            self._has_said_so = True
            super().handleError(record)


@contextmanager
def log_to_files(settings: SupervisionSettings, *, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Write voicebot's log (from the level info on) to ``log_file`` while the context lasts.

    voicebot logs no words of a conversation.

    Args:
        settings: file, size and number.
        secrets: passwords and tokens, which are struck out.

    Raises:
        OutputError: the file cannot be opened.
    """
    if settings.log_file is None:
        yield
        return
    try:
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = _QuietOnFullDisk(
            settings.log_file,
            maxBytes=max(1, round(settings.log_max_mib * _MIB)),
            backupCount=settings.log_files,
            encoding="utf-8",
        )
    except OSError as error:
        raise OutputError(
            f"the log {settings.log_file} cannot be written: {error.strerror or error}",
            "set supervision.log_file to a file that can",
        ) from error
    handler.setLevel(logging.INFO)
    handler.setFormatter(_WithoutSecrets(secrets))
    logger = logging.getLogger("voicebot")
    level = logger.level
    shown = [(one, one.level) for one in logger.handlers]
    for one, own_level in shown:  # the file is to have more than the terminal, not the other way
        one.setLevel(max(own_level, level))
    logger.addHandler(handler)
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        for one, own_level in shown:
            one.setLevel(own_level)
        handler.close()


def remove_old_logs(log_file: Path | None) -> int:
    """Remove the logs that were put aside; says how many. The one in use stays."""
    removed = 0
    if log_file is not None and log_file.parent.is_dir():
        for path in log_file.parent.iterdir():
            before, _, number = path.name.rpartition(".")
            if before == log_file.name and number.isdigit():
                path.unlink(missing_ok=True)
                removed += 1
    return removed
