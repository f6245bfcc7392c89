"""What the technician's view shows: figures and names, no words of a visitor."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psutil

from voicebot import __version__

if TYPE_CHECKING:
    from voicebot.choice import ChosenProfile
    from voicebot.config import Settings
    from voicebot.kiosk.log_lines import LogLines
    from voicebot.kiosk.pages import Page, Pages
    from voicebot.kiosk.visits import Visits

__all__ = ["StatusTeller"]

_MIB = 2**20
_GIB = 2**30


class StatusTeller:
    """Gathers it.

    Args:
        settings: of the kiosk.
        profile: the engines and models that were chosen.
        visits: the conversations.
        pages: the open pages.
        log_lines: the latest of the log.
    """

    def __init__(
        self,
        settings: Settings,
        profile: ChosenProfile,
        visits: Visits,
        pages: Pages,
        log_lines: LogLines,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._visits = visits
        self._pages = pages
        self._log_lines = log_lines
        self._process = psutil.Process()
        self._began_s = time.monotonic()

    def status(self) -> dict[str, Any]:
        """The state of things, as JSON's types."""
        visits = self._visits
        return {
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._began_s),
            "state": visits.state,
            "language": visits.language,
            "profile": {"name": self._profile.name, "reason": self._profile.reason},
            "models": [
                {"stage": stage, "engine": choice.engine, "model": choice.model}
                for stage, choice in (
                    ("recognition", self._profile.asr),
                    ("language model", self._profile.llm),
                    ("synthesis", self._profile.tts),
                )
            ],
            "audio": self._audio(),
            "latency": asdict(visits.latencies.summary()),
            "turns": dict(visits.outcomes),
            "visits": visits.visits,
            "stage_failures": visits.stage_failures,
            "pages": {"open": self._pages.count, "dropped": self._pages.dropped},
            "machine": self._machine(),
            "log": [asdict(line) for line in self._log_lines.lines[-100:]],
        }

    def _audio(self) -> dict[str, Any]:
        visits, audio = self._visits, self._settings.audio
        if not visits.is_browser:
            return {
                "path": "sound card",
                "microphone": audio.input or "the system's default",
                "loudspeaker": audio.output or "the system's default",
            }
        talker, speaker = self._pages.talker, visits.speaker
        return {
            "path": "browser",
            "microphone": "connected" if visits.microphone.is_attached else "not connected",
            "lost_ms": round(visits.microphone.lost_samples / 16.0),
            "overruns": visits.microphone.overruns,
            "underruns": 0 if speaker is None else speaker.underruns,
            "late_utterances": 0 if speaker is None else speaker.late_utterances,
            "late_clears": 0 if speaker is None else speaker.late_clears,
            "lead_ms": None if speaker is None else round(speaker.lead_ms, 1),
            **_way(talker),
        }

    def _machine(self) -> dict[str, Any]:
        memory = self._process.memory_info()
        disk = psutil.disk_usage(str(self._settings.models.dir.anchor or "/"))
        return {
            "memory_mib": round(memory.rss / _MIB),
            "memory_free_mib": round(psutil.virtual_memory().available / _MIB),
            "cpu_percent": self._process.cpu_percent(),
            "disk_free_gib": round(disk.free / _GIB, 1),
        }


def _way(page: Page | None) -> dict[str, float | None]:
    if page is None or not page.page_clock.is_known:
        return {"half_trip_ms": None}
    return {"half_trip_ms": round(page.page_clock.half_trip_s * 1000.0, 2)}
