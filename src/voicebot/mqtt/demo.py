"""A conversation with scripted engines, to see what the bridge tells without models or a kiosk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.scripted import (
    ScriptedAsr,
    ScriptedLlm,
    ScriptedTts,
    ScriptedTurnDetector,
    ScriptedVad,
)
from voicebot.history import History
from voicebot.mqtt.controls import ControlsState
from voicebot.session import Session, SessionRules
from voicebot.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples
    from voicebot.events import Event

__all__ = ["DemoControls", "scripted_conversation"]

_SPEECH_S = 1.0
_TURN_S = 5.0


class DemoControls:
    """Does nothing but tell what it was asked to do.

    Args:
        tell: takes a line for each command.

    Attributes:
        state: how a kiosk would be set by now.
        changed: takes it when it changes.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.changed: Callable[[ControlsState], None] = lambda _: None
        self.state = ControlsState(muted=False, volume_percent=70, profile="embedded")

    def _set(self, *, muted: bool, volume_percent: int, profile: str) -> None:
        self.state = ControlsState(muted, volume_percent, profile)
        self.changed(self.state)

    async def say(self, text: str) -> None:
        """Tell it."""
        self._tell(f"say: {text}")

    async def ask(self, text: str) -> str:
        """Tell it, and answer that this is a demonstration."""
        self._tell(f"ask: {text}")
        return "This is a demonstration."

    async def set_muted(self, *, muted: bool) -> None:
        """Tell it and keep it."""
        self._tell(f"mute: {muted}")
        self._set(muted=muted, volume_percent=self.state.volume_percent, profile=self.state.profile)

    async def set_volume(self, percent: int) -> None:
        """Tell it and keep it."""
        self._tell(f"volume: {percent} %")
        self._set(muted=self.state.muted, volume_percent=percent, profile=self.state.profile)

    async def reset(self) -> None:
        """Tell it."""
        self._tell("reset")

    async def set_profile(self, profile: str) -> None:
        """Tell it and keep it."""
        self._tell(f"profile: {profile}")
        self._set(muted=self.state.muted, volume_percent=self.state.volume_percent, profile=profile)

    async def restart(self) -> None:
        """Tell it."""
        self._tell("restart")


async def scripted_conversation(turns: int, notify: Callable[[Event], None]) -> None:
    """Hold ``turns`` turns in real time, five seconds each; ``notify`` takes the facts."""
    stages = Stages(
        vad=ScriptedVad(),
        turn_detector=ScriptedTurnDetector(),
        asr=ScriptedAsr(["where", "are", "the", "dinosaurs"]),
        llm=ScriptedLlm(default="On the second floor. The stairs are behind you."),
        tts=ScriptedTts(),
    )
    microphone = VirtualMicrophone(block_ms=20)
    speaker = VirtualSpeaker(stages.tts.sample_rate_hz, block_ms=20, output_latency_ms=20)
    session = Session(
        microphone,
        speaker,
        stages,
        history=History("", max_tokens=1000),
        rules=SessionRules(),
        notify=notify,
    )
    running = asyncio.create_task(session.run())
    try:
        for turn in range(turns):
            began_s = asyncio.get_running_loop().time()
            microphone.play(_tone(_SPEECH_S), not_before_s=began_s + (0.5 if turn == 0 else 0.0))
            await asyncio.sleep(_TURN_S)
        microphone.close()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _tone(seconds: float) -> Samples:
    time_s = np.arange(round(seconds * INPUT_SAMPLE_RATE_HZ)) / INPUT_SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)
