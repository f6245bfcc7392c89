"""A run as a trace that Perfetto (https://ui.perfetto.dev) and chrome://tracing open.

The Trace Event Format: a JSON object with a list of events, times in microseconds; ``X`` is a
stretch, ``i`` an instant, ``M`` names a process or a thread. Each turn is a process of its own
whose threads are what went on at once: the caller, the bot, and each stage. All turns begin at 0,
the first sample of their clip, so that they lie under each other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voicebot.bench.files import write_text_atomically
from voicebot.timeline import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voicebot.bench.record import Run, TurnRecord

__all__ = ["trace_of", "write_trace"]

_CALLER, _BOT, _MARKS = "caller", "bot", "marks"


def trace_of(run: Run) -> dict[str, Any]:
    """The trace, as JSON holds it."""
    events: list[dict[str, Any]] = []
    for number, turn in enumerate(run.turns, start=1):
        events += _TurnEvents(number, turn).all()
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "started_at": run.meta.started_at,
            "profile": run.meta.profile,
            "commit": run.meta.commit or "",
            "cpu": run.meta.host.cpu,
        },
    }


def write_trace(run: Run, path: Path) -> None:
    """Write the trace of ``run`` to ``path``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text_atomically(path, json.dumps(trace_of(run), ensure_ascii=False) + "\n")


class _TurnEvents:
    """The events of one turn, which is a process to the viewer."""

    def __init__(self, process: int, turn: TurnRecord) -> None:
        self._process = process
        self._turn = turn
        stages = dict.fromkeys([*(part.value for part in Part), *(s.stage for s in turn.spans)])
        self._threads = {
            name: number for number, name in enumerate((_CALLER, *stages, _BOT, _MARKS), start=1)
        }

    def all(self) -> list[dict[str, Any]]:
        return [*self._names(), *sorted(self._happenings(), key=lambda event: float(event["ts"]))]

    def _names(self) -> Iterator[dict[str, Any]]:
        latency = self._turn.voice_to_voice_ms
        figure = "no answer" if latency is None else f"{latency:.0f} ms"
        name = f"turn {self._process}: {self._turn.caller} ({figure})"
        yield self._about("process_name", 0, {"name": name})
        yield self._about("process_sort_index", 0, {"sort_index": self._process})
        for thread, number in self._threads.items():
            yield self._about("thread_name", number, {"name": thread})
            yield self._about("thread_sort_index", number, {"sort_index": number})

    def _happenings(self) -> Iterator[dict[str, Any]]:
        turn = self._turn
        end_ms = turn.true_end_s * 1e3
        for start_s, stop_s in turn.speech:
            yield self._stretch(_CALLER, turn.text or "speech", start_s * 1e3, stop_s * 1e3)
        for start_s, stop_s in turn.bot_audio:
            yield self._stretch(_BOT, turn.reply or "sound", start_s * 1e3, stop_s * 1e3)
        for span in turn.spans:
            name = f"{span.stage}, hidden by a wait" if span.hidden else span.stage
            yield self._stretch(span.stage, name, end_ms + span.start_ms, end_ms + span.end_ms)
        yield self._instant("true_end", end_ms)
        for name, at_ms in turn.marks.items():
            yield self._instant(name, end_ms + at_ms)

    def _stretch(self, thread: str, name: str, start_ms: float, stop_ms: float) -> dict[str, Any]:
        return {
            "ph": "X",
            "name": name,
            "cat": thread,
            "pid": self._process,
            "tid": self._threads[thread],
            "ts": start_ms * 1e3,
            "dur": max(0.0, stop_ms - start_ms) * 1e3,
        }

    def _instant(self, name: str, at_ms: float) -> dict[str, Any]:
        return {
            "ph": "i",
            "s": "p",  # a line through all threads of the process
            "name": name,
            "cat": _MARKS,
            "pid": self._process,
            "tid": self._threads[_MARKS],
            "ts": at_ms * 1e3,
        }

    def _about(self, what: str, thread: int, arguments: dict[str, object]) -> dict[str, Any]:
        return {
            "ph": "M",
            "name": what,
            "pid": self._process,
            "tid": thread,
            "ts": 0,
            "args": arguments,
        }
