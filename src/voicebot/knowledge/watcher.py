"""A thread that takes in changes of the folder, between turns and at low priority."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from voicebot.errors import VoicebotError

if TYPE_CHECKING:
    from voicebot.knowledge.knowledge import Knowledge

__all__ = ["KnowledgeWatcher"]

_QUIET_S = 2.0
"""No query for this long: no turn is under way that knowledge takes part in."""

_LONGEST_WAIT_S = 30.0
_LOOK_EVERY_S = 0.1
_LOW_PRIORITY = 10

_log = logging.getLogger("voicebot.knowledge")


class KnowledgeWatcher:
    """Looks at the folder every so often until it is closed.

    Args:
        knowledge: what is refreshed.
        every_s: how often.
    """

    def __init__(self, knowledge: Knowledge, *, every_s: float) -> None:
        self._knowledge = knowledge
        self._every_s = every_s
        self._closed = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._watch, name="voicebot-knowledge", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; a pass that is under way is not waited for."""
        self._closed.set()

    def _watch(self) -> None:
        if sys.platform == "linux":
            # There a thread has a priority of its own.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
        while not self._closed.wait(self._every_s):
            self._look()

    def _look(self) -> None:
        try:
            refreshed = self._knowledge.refresh(self._wait_for_quiet)
        except _ClosedError:
            return
        except Exception as error:  # noqa: BLE001 - what is known stays known
            # Said once, not at every look.
            line = str(error)
            if line != self._problem:
                expected = isinstance(error, VoicebotError)
                _log.warning("knowledge is not re-read: %s", line, exc_info=not expected)
            self._problem = line
            return
        self._problem = ""
        if refreshed is not None:
            _log.info("knowledge: %d passages of %d files", refreshed.passages, refreshed.files)

    def _wait_for_quiet(self) -> None:
        waited_s = 0.0
        while self._knowledge.idle_s < _QUIET_S and waited_s < _LONGEST_WAIT_S:
            if self._closed.wait(_LOOK_EVERY_S):
                raise _ClosedError
            waited_s += _LOOK_EVERY_S
        if self._closed.is_set():
            raise _ClosedError


class _ClosedError(Exception):
    """The watcher was closed in the midst of a pass."""
