"""A log of turns: a JSON object a line, appended as each turn closes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from voicebot.telemetry.turn_facts import TurnFacts

__all__ = ["TurnLog"]


class TurnLog:
    """The open log.

    Args:
        path: the file; made with its folder if need be, else appended to.

    Raises:
        OutputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, facts: TurnFacts) -> None:
        """Append one turn; what is not known is left out.

        Raises:
            OutputError: the disk is full, or the file is gone.
        """
        row = {name: value for name, value in asdict(facts).items() if value is not None}
        try:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()  # a crash shall lose no turn that is over
        except OSError as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(
            f"the log of turns {self._path} cannot be written: {error.strerror or error}",
            "set telemetry.turn_log to a file that can, or leave it out",
        )
