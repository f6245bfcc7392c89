"""All that watches a conversation, as one function that takes its facts."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from voicebot.errors import VoicebotError
from voicebot.events import TurnClosed
from voicebot.telemetry.turn_facts import turn_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from voicebot.config import TelemetrySettings
    from voicebot.events import Event
    from voicebot.telemetry.metrics import MetricsServer
    from voicebot.telemetry.spans import TurnTracer
    from voicebot.telemetry.turn_log import TurnLog

__all__ = ["Telemetry", "telemetry"]

_METRICS_ADDRESS = "127.0.0.1"

_log = logging.getLogger("voicebot.telemetry")


class Telemetry:
    """Hands the facts of a conversation to what was switched on.

    Args:
        log: takes every turn.
        metrics: counts.
        tracer: sends traces.
        with_words: whether what was said may leave the program.
        clock: the session's clock, in seconds.
    """

    def __init__(
        self,
        *,
        log: TurnLog | None = None,
        metrics: MetricsServer | None = None,
        tracer: TurnTracer | None = None,
        with_words: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turn_log = log
        self._metrics = metrics
        self._tracer = tracer
        self._with_words = with_words
        self._clock_offset_s = time.time() - clock()
        self._has_failed = False

    def observe(self, event: Event) -> None:
        """Take note of a fact; never raises, says the first failure and goes on."""
        self._observe(event, run=None, caller=None)

    def of_caller(self, run: str, caller: str) -> Callable[[Event], None]:
        """As ``observe``, for a caller of a measured run; both are told with each turn."""

        def observe(event: Event) -> None:
            self._observe(event, run=run, caller=caller)

        return observe

    def _observe(self, event: Event, *, run: str | None, caller: str | None) -> None:
        try:
            self._pass_on(event, run=run, caller=caller)
        except Exception as error:  # noqa: BLE001 - to be watched must not end a conversation
            if not self._has_failed:
                self._has_failed = True
                line = error if isinstance(error, VoicebotError) else f"telemetry failed: {error}"
                _log.warning("%s", line)

    def _pass_on(self, event: Event, *, run: str | None, caller: str | None) -> None:
        if self._metrics is not None:
            self._metrics.observe(event)
        if not isinstance(event, TurnClosed):
            return
        offset_s = self._clock_offset_s
        facts = turn_facts(
            event,
            clock_offset_s=offset_s,
            with_words=self._with_words,
            run=run,
            caller=caller,
        )
        if self._metrics is not None:
            self._metrics.count(facts)
        if self._tracer is not None:
            self._tracer.trace(event, facts, clock_offset_s=offset_s)
        if self._turn_log is not None:
            self._turn_log.write(facts)


@contextmanager
def telemetry(settings: TelemetrySettings, models: Mapping[str, str]) -> Iterator[Telemetry]:
    """What the settings switch on, until the context is left.

    Args:
        settings: what to watch with.
        models: the model's name for each stage (``asr``, ``llm``, ``tts``).

    Raises:
        ConfigError: a package is not installed, or the port is taken.
        OutputError: the log cannot be opened.
    """
    with ExitStack() as opened:
        log, metrics, tracer = None, None, None
        if settings.turn_log is not None:
            from voicebot.telemetry.turn_log import TurnLog  # noqa: PLC0415 - off by default

            log = TurnLog(settings.turn_log)
            opened.callback(log.close)
        if settings.metrics_port:
            from voicebot.telemetry.metrics import MetricsServer  # noqa: PLC0415 - off by default

            metrics = MetricsServer(_METRICS_ADDRESS, settings.metrics_port)
            opened.callback(metrics.close)
        if settings.traces_endpoint:
            from voicebot.telemetry.spans import TurnTracer  # noqa: PLC0415 - off by default

            tracer = TurnTracer(settings.traces_endpoint, models)
            opened.callback(tracer.close)
        yield Telemetry(log=log, metrics=metrics, tracer=tracer, with_words=settings.words)
