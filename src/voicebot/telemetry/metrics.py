"""Metrics of a conversation for Prometheus, served on a port of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicebot.errors import ConfigError
from voicebot.events import BargedIn, GuardIntervened, StageFailed, TurnClosed

if TYPE_CHECKING:
    from voicebot.events import Event
    from voicebot.telemetry.turn_facts import TurnFacts

__all__ = ["LATENCY_BUCKETS_S", "MetricsServer"]

LATENCY_BUCKETS_S = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Upper ends; 0.3 is the target."""

_STAGE_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class MetricsServer:
    """Counts and times turns, and answers ``GET /metrics``, in a thread of its own.

    Args:
        address: what to bind to.
        port: which port; 0 takes a free one, see :attr:`port`.

    Raises:
        ConfigError: prometheus-client is not installed, or the port is taken.
    """

    def __init__(self, address: str, port: int) -> None:
        try:
            import prometheus_client as prometheus  # noqa: PLC0415 - only where it is wanted
        except ImportError as error:
            raise ConfigError(
                "telemetry.metrics_port needs the package prometheus-client",
                "pip install 'voicebot[telemetry]'",
            ) from error
        registry = prometheus.CollectorRegistry()
        self._turns = prometheus.Counter(
            "voicebot_turns",
            "Turns of the user, by how they ended.",
            ["outcome"],
            registry=registry,
        )
        self._latency = prometheus.Histogram(
            "voicebot_latency_seconds",
            "From the user's estimated end to the first sample at the loudspeaker.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._parts = prometheus.Histogram(
            "voicebot_latency_part_seconds",
            "Parts of the latency along its critical path; what is below 0 counts as 0.",
            ["part"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self._drafts = prometheus.Counter(
            "voicebot_drafts",
            "Replies begun before the turn was over.",
            ["fate"],
            registry=registry,
        )
        self._interruptions = prometheus.Counter(
            "voicebot_interruptions", "Replies that the user cut short.", registry=registry
        )
        self._interventions = prometheus.Counter(
            "voicebot_guard_interventions",
            "Answers that the guard replaced, by whose words it stopped and why.",
            ["speaker", "topic"],
            registry=registry,
        )
        self._failures = prometheus.Counter(
            "voicebot_stage_failures", "Failures of a stage, by kind.", ["error"], registry=registry
        )
        try:
            self._server, self._thread = prometheus.start_http_server(
                port, addr=address, registry=registry
            )
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be served on {address}:{port}: {error.strerror or error}",
                "set telemetry.metrics_port to a free port",
            ) from error

    @property
    def port(self) -> int:
        """The port that is served."""
        server: Any = self._server
        return int(server.server_port)

    def observe(self, event: Event) -> None:
        """Count what is no turn."""
        match event:
            case BargedIn():
                self._interruptions.inc()
            case GuardIntervened(speaker=speaker, topic=topic):
                self._interventions.labels(speaker, topic).inc()
            case StageFailed(error=error):
                self._failures.labels(type(error).__name__).inc()
            case TurnClosed() | _:
                pass

    def count(self, facts: TurnFacts) -> None:
        """Count a turn that is over."""
        self._turns.labels(facts.outcome).inc()
        self._drafts.labels("discarded").inc(facts.drafts_discarded)
        self._drafts.labels("used").inc(max(0, facts.drafts_started - facts.drafts_discarded))
        if facts.latency_ms is None or facts.breakdown_ms is None:
            return
        self._latency.observe(facts.latency_ms / 1000)
        for part in ("endpoint", "asr", "llm", "tts", "output", "unattributed"):
            spent_ms = float(getattr(facts.breakdown_ms, part))
            self._parts.labels(part).observe(max(0.0, spent_ms) / 1000)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5.0)
