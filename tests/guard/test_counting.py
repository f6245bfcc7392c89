"""Every intervention is counted."""

from __future__ import annotations

import urllib.request

from voicebot.events import GuardIntervened
from voicebot.telemetry.metrics import MetricsServer
from voicebot.telemetry.observers import Telemetry


def test_metrics_count_interventions_by_speaker_and_topic() -> None:
    metrics = MetricsServer("127.0.0.1", 0)
    try:
        watching = Telemetry(metrics=metrics)
        for speaker, topic in (("user", "self-harm"), ("user", "self-harm"), ("bot", "words")):
            watching.observe(GuardIntervened(1, speaker, topic))
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as page:
            lines = page.read().decode().splitlines()
    finally:
        metrics.close()
    name = "voicebot_guard_interventions_total"
    assert f'{name}{{speaker="user",topic="self-harm"}} 2.0' in lines
    assert f'{name}{{speaker="bot",topic="words"}} 1.0' in lines
