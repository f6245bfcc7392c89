"""Scripted conversations for the tests of the session: clips in, what happened out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio.loudness import audible_spans
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.scripted import (
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.events import Event, TurnClosed
from voicebot.history import History
from voicebot.session import Session, SessionRules
from voicebot.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.audio.samples import Samples

__all__ = ["RATE_HZ", "Conversation", "converse", "scripted", "silence", "speech", "tone"]

RATE_HZ = 16_000


def tone(seconds: float) -> Samples:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


def speech(*seconds: float) -> Samples:
    """Alternating stretches of speech and silence, speech first."""
    return np.concatenate(
        [tone(part) if index % 2 == 0 else silence(part) for index, part in enumerate(seconds)]
    )


@dataclass
class Conversation:
    """What a scripted conversation left behind."""

    events: list[Event] = field(default_factory=list)
    history: History = field(default_factory=lambda: History("", max_tokens=10_000))
    bot_spans: list[tuple[float, float]] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    underruns: int = 0

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def closed(self) -> list[TurnClosed]:
        return self.of(TurnClosed)


async def converse(
    clips: Sequence[tuple[float, Samples]],
    *,
    stages: Stages | None = None,
    rules: SessionRules | None = None,
    listen_s: float = 8.0,
    output_latency_ms: float = 20.0,
    keys: Sequence[tuple[float, Callable[[Session], object]]] = (),
    history: History | None = None,
) -> Conversation:
    """Play ``clips`` (start in seconds, samples) into a session and listen on after the last.

    ``keys`` are called with the session at their instants.
    """
    result = Conversation() if history is None else Conversation(history=history)
    stages = stages or scripted()
    microphone = VirtualMicrophone(block_ms=10)
    speaker = VirtualSpeaker(
        stages.tts.sample_rate_hz, block_ms=10, output_latency_ms=output_latency_ms
    )
    session = Session(
        microphone,
        speaker,
        stages,
        history=result.history,
        rules=rules or SessionRules(),
        notify=result.events.append,
    )
    end_s = 0.0
    for start_s, samples in clips:
        at_s = microphone.play(samples, not_before_s=start_s)
        result.starts_s.append(at_s)
        end_s = at_s + len(samples) / RATE_HZ
    running = asyncio.create_task(session.run())
    loop = asyncio.get_running_loop()
    for at_s, key in keys:
        loop.call_at(at_s, key, session)
        end_s = max(end_s, at_s)
    await asyncio.sleep(end_s + listen_s)
    microphone.close()
    await running
    for playback in speaker.take_played():
        for first, last in audible_spans(playback.samples, speaker.sample_rate_hz):
            result.bot_spans.append(
                (
                    playback.start_s + first / speaker.sample_rate_hz,
                    playback.start_s + last / speaker.sample_rate_hz,
                )
            )
    result.underruns = speaker.underruns
    return result


def scripted(**replaced: Any) -> Stages:
    stages: dict[str, Any] = {
        "vad": ScriptedVad(),
        "turn_detector": ScriptedTurnDetector(),
        "asr": ScriptedAsr(),
        "llm": ScriptedLlm(),
        "tts": ScriptedTts(),
    }
    return Stages(**{**stages, **replaced})
