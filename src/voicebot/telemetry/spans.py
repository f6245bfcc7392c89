"""Turns as OpenTelemetry traces, sent to a collector over OTLP/HTTP.

A trace is a turn: a root span ``voicebot.turn`` from the user's onset to the first sample of the
reply, and below it a span for each stage of the work on that first sound. The language model's
bears the attributes of OpenTelemetry's conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/, in development) as far as they
fit: operation, provider, model.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voicebot import __version__
from voicebot.errors import ConfigError
from voicebot.timeline import Mark, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.events import TurnClosed
    from voicebot.telemetry.turn_facts import TurnFacts

__all__ = ["TurnTracer"]

_FLUSH_MS = 3000
_ITS_LOGGER = "opentelemetry"
_LONGEST_CAUSE = 200

_log = logging.getLogger("voicebot.telemetry")


class _OneLine(logging.Handler):
    """Turns what OpenTelemetry's packages log, with tracebacks and again and again, into a line."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(logging.WARNING)
        self._endpoint = endpoint
        self._has_said = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._has_said:
            return
        self._has_said = True
        why = " ".join(record.getMessage().split())
        _log.warning(
            "traces do not arrive at %s: %s; start a collector there, or leave "
            "telemetry.traces_endpoint out",
            self._endpoint,
            why if len(why) <= _LONGEST_CAUSE else f"{why[:_LONGEST_CAUSE]}…",
        )


class TurnTracer:
    """Sends spans from a thread of its own; a collector that is away costs nothing but the spans.

    Args:
        endpoint: where the collector takes traces, such as ``http://127.0.0.1:4318/v1/traces``.
        models: the model's name for each stage.

    Raises:
        ConfigError: the OpenTelemetry packages are not installed.
    """

    def __init__(self, endpoint: str, models: Mapping[str, str]) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,  # only where it is wanted
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "telemetry.traces_endpoint needs OpenTelemetry's packages",
                "pip install 'voicebot[telemetry]'",
            ) from error
        resource = Resource.create({"service.name": "voicebot", "service.version": __version__})
        # Not the process's global provider: a program that embeds voicebot may have its own.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_FLUSH_MS / 1000)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("voicebot", __version__)
        self._models = models
        self._its_log = logging.getLogger(_ITS_LOGGER)
        self._one_line = _OneLine(endpoint)
        self._its_log.addHandler(self._one_line)
        self._did_propagate, self._its_log.propagate = self._its_log.propagate, False

    def trace(self, closed: TurnClosed, facts: TurnFacts, *, clock_offset_s: float) -> None:
        """Queue the spans of a turn that is over; never waits."""
        from opentelemetry import trace  # noqa: PLC0415 - loaded already

        def ns(at_s: float) -> int:
            return round((at_s + clock_offset_s) * 1e9)

        marks = closed.timeline.marks
        end_s = marks.get(Mark.LEFT_SINK, closed.speech_end_s or closed.speech_start_s)
        root = self._tracer.start_span(
            "voicebot.turn",
            start_time=ns(closed.speech_start_s),
            attributes=_present(
                {
                    "voicebot.turn": facts.turn,
                    "voicebot.run": facts.run,
                    "voicebot.caller": facts.caller,
                    "voicebot.outcome": facts.outcome,
                    "voicebot.latency_ms": facts.latency_ms,
                    "voicebot.drafts.started": facts.drafts_started,
                    "voicebot.drafts.discarded": facts.drafts_discarded,
                    "voicebot.transcript": facts.transcript,
                    "voicebot.reply": facts.reply,
                    "error.type": "stage" if facts.failure else None,
                }
            ),
        )
        if facts.failure:
            root.set_status(trace.StatusCode.ERROR, facts.failure)
        for mark, at_s in marks.items():
            root.add_event(mark.value, timestamp=ns(at_s))
        below = trace.set_span_in_context(root)
        stretches = [
            (part, span.start_s, span.end_s) for part, span in closed.timeline.spans.items()
        ]
        if closed.speech_end_s is not None and Mark.COMMIT in marks:
            stretches.append((Part.ENDPOINT, closed.speech_end_s, marks[Mark.COMMIT]))
        if Mark.WRITTEN in marks and Mark.LEFT_SINK in marks:
            stretches.append((Part.OUTPUT, marks[Mark.WRITTEN], marks[Mark.LEFT_SINK]))
        for part, start_s, stop_s in stretches:
            name, attributes = self._described(part)
            span = self._tracer.start_span(
                name, context=below, start_time=ns(start_s), attributes=attributes
            )
            span.end(end_time=ns(max(start_s, stop_s)))
        root.end(end_time=ns(max(end_s, closed.speech_start_s)))

    def close(self) -> None:
        """Send what is queued, for a few seconds at most."""
        try:
            self._provider.force_flush(_FLUSH_MS)
            self._provider.shutdown()
        finally:
            self._its_log.removeHandler(self._one_line)
            self._its_log.propagate = self._did_propagate

    def _described(self, part: Part) -> tuple[str, dict[str, Any]]:
        model = self._models.get(part.value, "")
        if part is Part.LLM:
            return f"chat {model}".strip(), {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "voicebot",
                "gen_ai.request.model": model,
            }
        return f"voicebot.{part.value}", {"voicebot.model": model} if model else {}


def _present(attributes: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
