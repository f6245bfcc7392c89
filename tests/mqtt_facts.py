"""Facts of conversations for the tests of the bridge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voicebot.errors import VoicebotError
from voicebot.events import Outcome, TurnClosed
from voicebot.mqtt.controls import ControlsState
from voicebot.timeline import Mark, Part, Timeline

__all__ = ["FakeKiosk", "a_closed_turn"]


def a_closed_turn(turn: int = 1, **changes: Any) -> TurnClosed:
    timeline = Timeline()
    for mark, at_s in (
        (Mark.SPEECH_END, 10.0),
        (Mark.SOFT_END, 10.07),
        (Mark.COMMIT, 10.2),
        (Mark.WRITTEN, 10.201),
        (Mark.LEFT_SINK, 10.221),
    ):
        timeline.mark(mark, at_s)
    timeline.span(Part.ASR, 10.07, 10.08)
    timeline.span(Part.LLM, 10.08, 10.15)
    timeline.span(Part.TTS, 10.15, 10.16)
    closed = TurnClosed(
        turn=turn,
        outcome=Outcome.ANSWERED,
        transcript="what time is it",
        reply="I have no clock.",
        heard="I have no clock.",
        speech_start_s=8.0,
        speech_end_s=10.0,
        timeline=timeline,
        drafts_started=1,
        drafts_discarded=0,
        discarded_tokens=0,
        failure=None,
    )
    return replace(closed, **changes)


class FakeKiosk:
    """Does what it is told and keeps a list of it."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.refusal: Exception | None = None

    def _do(self, *what: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append(what)

    async def say(self, text: str) -> None:
        self._do("say", text)

    async def ask(self, text: str) -> str:
        self._do("ask", text)
        return f"you asked: {text}"

    async def set_muted(self, *, muted: bool) -> None:
        self._do("mute", muted)

    async def set_volume(self, percent: int) -> None:
        self._do("volume", percent)

    async def reset(self) -> None:
        self._do("reset")

    async def set_profile(self, profile: str) -> None:
        if profile == "gpu":
            raise VoicebotError("there is no GPU", "choose cpu")
        self._do("profile", profile)

    async def restart(self) -> None:
        self._do("restart")

    @property
    def state(self) -> ControlsState:
        return ControlsState(muted=False, volume_percent=70, profile="embedded")
