"""An onnxruntime session whose runs end early once they are no longer wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.engines.protocols import StopFlag

__all__ = ["RunStoppedError", "StoppableSession"]

_LOOK_EVERY_S = 0.02


class RunStoppedError(Exception):
    """The run ended early, as its stop flag asked for."""


class StoppableSession:
    """Stands in for an ``onnxruntime.InferenceSession``, and looks at ``stop`` while it runs.

    onnxruntime ends a run between two operators once its options say so. Someone has to say so
    meanwhile: a thread that lives as long as the run.

    Args:
        session: the session.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.stop: StopFlag | None = None

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        """Run the graph; the arguments and the result are those of the session's own method.

        Raises:
            RunStoppedError: ``stop`` was set meanwhile.
        """
        if self.stop is None:
            result: list[Any] = self._session.run(outputs, inputs)
            return result
        import onnxruntime  # noqa: PLC0415 - loaded already where there is a session

        options = onnxruntime.RunOptions()
        is_over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(self.stop, options, is_over), daemon=True)
        watcher.start()
        try:
            result = self._session.run(outputs, inputs, options)
        except Exception as error:
            if options.terminate:
                raise RunStoppedError from error
            raise
        finally:
            is_over.set()
            watcher.join()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _watch(stop: StopFlag, options: Any, is_over: threading.Event) -> None:
    while not is_over.wait(_LOOK_EVERY_S):
        if stop.is_set():
            options.terminate = True
            return
