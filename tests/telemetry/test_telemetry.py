"""Turns on their way out of the program: to a file, to Prometheus, to an OTLP endpoint."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from voicebot.config import TelemetrySettings
from voicebot.errors import ConfigError, EngineError, OutputError
from voicebot.events import BargedIn, Outcome, StageFailed, TurnClosed
from voicebot.telemetry.metrics import MetricsServer
from voicebot.telemetry.observers import Telemetry, telemetry
from voicebot.telemetry.spans import TurnTracer
from voicebot.telemetry.turn_facts import turn_facts
from voicebot.telemetry.turn_log import TurnLog
from voicebot.timeline import Mark, Part, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = {"asr": "an-asr", "llm": "a-model", "tts": "a-voice"}


def a_closed_turn(**changes: object) -> TurnClosed:
    timeline = Timeline()
    for mark, at_s in (
        (Mark.SPEECH_END, 10.0),
        (Mark.SOFT_END, 10.07),
        (Mark.COMMIT, 10.2),
        (Mark.WRITTEN, 10.201),
        (Mark.LEFT_SINK, 10.221),
    ):
        timeline.mark(mark, at_s)
    for part, start_s, end_s in (
        (Part.ASR, 10.07, 10.08),
        (Part.LLM, 10.08, 10.15),
        (Part.TTS, 10.15, 10.16),
    ):
        timeline.span(part, start_s, end_s)
    turn = TurnClosed(
        turn=3,
        outcome=Outcome.ANSWERED,
        transcript="what time is it",
        reply="I have no clock.",
        heard="I have no clock.",
        speech_start_s=8.0,
        speech_end_s=10.0,
        timeline=timeline,
        drafts_started=2,
        drafts_discarded=1,
        discarded_tokens=5,
        failure=None,
    )
    return replace(turn, **changes)


def test_a_turn_in_figures_keeps_its_words_to_itself() -> None:
    facts = turn_facts(a_closed_turn(), clock_offset_s=1_000_000.0, with_words=False)
    assert facts.latency_ms == pytest.approx(221.0)
    assert facts.breakdown_ms is not None
    assert facts.breakdown_ms.endpoint == pytest.approx(200.0)
    assert facts.began_at == "1970-01-12T13:46:48.000+00:00"
    assert facts.speech_end_at == "1970-01-12T13:46:50.000000+00:00"
    assert facts.first_sample_at == "1970-01-12T13:46:50.221000+00:00"
    assert (facts.transcript, facts.reply, facts.heard) == (None, None, None)
    words = turn_facts(a_closed_turn(), clock_offset_s=0.0, with_words=True)
    assert words.transcript == "what time is it"


def test_a_turn_without_a_reply_has_no_latency() -> None:
    closed = a_closed_turn(timeline=Timeline(), outcome=Outcome.DISMISSED, speech_end_s=None)
    facts = turn_facts(closed, clock_offset_s=0.0, with_words=False)
    assert facts.latency_ms is None
    assert (facts.speech_end_at, facts.first_sample_at) == (None, None)
    assert facts.outcome == "dismissed"


def test_the_log_has_a_line_for_each_turn_at_once(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "turns.jsonl"
    with telemetry(TelemetrySettings(turn_log=path), MODELS) as watching:
        watching.observe(a_closed_turn())
        watching.observe(BargedIn(3, 1.0, 1.1))
        (line,) = path.read_text(encoding="utf-8").splitlines()
        watching.observe(a_closed_turn(turn=4))
    assert json.loads(line)["turn"] == 3
    assert "transcript" not in json.loads(line)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = TelemetrySettings(turn_log=tmp_path / "file" / "turns.jsonl")
    with pytest.raises(OutputError, match=r"telemetry\.turn_log"), telemetry(settings, MODELS):
        pass


def test_a_log_that_fails_later_is_said_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = TurnLog(tmp_path / "turns.jsonl")
    log.close()
    watching = Telemetry(log=log)
    watching.observe(a_closed_turn())
    watching.observe(a_closed_turn())
    assert len(caplog.records) == 1


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_metrics_are_served_on_this_machine() -> None:
    server = MetricsServer("127.0.0.1", 0)
    try:
        watching = Telemetry(metrics=server)
        watching.observe(a_closed_turn())
        watching.observe(a_closed_turn(outcome=Outcome.DISMISSED, timeline=Timeline()))
        watching.observe(BargedIn(3, 1.0, 1.1))
        watching.observe(StageFailed(3, EngineError("it broke")))
        text = scraped(server.port)
    finally:
        server.close()
    assert 'voicebot_turns_total{outcome="answered"} 1.0' in text
    assert 'voicebot_turns_total{outcome="dismissed"} 1.0' in text
    assert 'voicebot_latency_seconds_bucket{le="0.2"} 0.0' in text
    assert 'voicebot_latency_seconds_bucket{le="0.25"} 1.0' in text
    assert "voicebot_interruptions_total 1.0" in text
    assert 'voicebot_stage_failures_total{error="EngineError"} 1.0' in text
    assert 'voicebot_drafts_total{fate="discarded"} 2.0' in text
    assert "what time is it" not in text


def test_a_port_that_is_taken_is_one_line() -> None:
    server = MetricsServer("127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=r"telemetry\.metrics_port"):
            MetricsServer("127.0.0.1", server.port)
    finally:
        server.close()


class Collector:
    """An OTLP/HTTP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        kept = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                kept.append(request)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collecting = Collector()
    yield collecting
    collecting.close()


def test_a_turn_arrives_at_the_collector_as_a_trace(collector: Collector) -> None:
    settings = TelemetrySettings(traces_endpoint=collector.endpoint)
    with telemetry(settings, MODELS) as watching:
        watching.observe(a_closed_turn())
        watching.observe(a_closed_turn(turn=4, failure="the language model failed"))
    spans = [
        span
        for request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len({span.trace_id for span in spans}) == 2
    roots = [span for span in spans if span.name == "voicebot.turn"]
    assert len(roots) == 2
    first = [span for span in spans if span.trace_id == roots[0].trace_id]
    assert {span.name for span in first} == {
        "voicebot.turn",
        "voicebot.endpoint",
        "voicebot.asr",
        "chat a-model",
        "voicebot.tts",
        "voicebot.output",
    }
    chat = next(span for span in first if span.name == "chat a-model")
    assert chat.parent_span_id == roots[0].span_id
    assert (chat.end_time_unix_nano - chat.start_time_unix_nano) / 1e6 == pytest.approx(
        70.0, abs=0.01
    )
    told = {each.key: each.value.string_value for each in chat.attributes}
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == "a-model"
    everything = "".join(str(request) for request in collector.requests)
    assert "what time is it" not in everything


def test_a_collector_that_is_away_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tracer = TurnTracer("http://127.0.0.1:9/v1/traces", MODELS)
    Telemetry(tracer=tracer).observe(a_closed_turn())
    tracer.close()
    assert all("what time is it" not in record.getMessage() for record in caplog.records)


def test_nothing_is_watched_unless_it_is_asked_for() -> None:
    with telemetry(TelemetrySettings(), MODELS) as watching:
        watching.observe(a_closed_turn())
