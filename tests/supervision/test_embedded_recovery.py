"""Real models: a recogniser that freezes in the middle of a turn costs time, not the turn."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from voicebot.audio.files import read_audio
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.builders import engine_factories
from voicebot.choice import choose_profile
from voicebot.config import Settings, SupervisionSettings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.events import Outcome, SpeechStarted, StageFailed, TurnClosed
from voicebot.models.registry import PROFILES
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.session import Session
from voicebot.supervision.facts import StageReplaced, SupervisionFact
from voicebot.supervision.running import running_supervised_stages

if TYPE_CHECKING:
    from voicebot.events import Event

pytestmark = pytest.mark.models


def decoders() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "pocketsphinx_child" in " ".join(one.cmdline())]


def test_a_recogniser_that_freezes_costs_no_turn() -> None:
    store = ModelStore(default_models_dir())
    for name in PROFILES["embedded"]:
        if not store.is_ready(name):
            pytest.skip(f"{name} is not here: run voicebot models pull")
    settings = Settings(profile="embedded")
    (caller,) = load_callers(recorded_callers_dir(), kind="question", limit=1)
    question = read_audio(caller.turns[0].path).samples
    facts: list[SupervisionFact] = []
    events: list[Event] = []
    frozen: list[psutil.Process] = []
    is_over = asyncio.Event()

    def notify(event: Event) -> None:
        events.append(event)
        if isinstance(event, TurnClosed):
            is_over.set()
        if isinstance(event, SpeechStarted) and not frozen:
            frozen.extend(decoders())
            for process in frozen:
                process.send_signal(signal.SIGSTOP)

    async def main() -> None:
        async with running_supervised_stages(
            engine_factories(choose_profile(settings), settings, store),
            SupervisionSettings(),
            stage_timeout_s=5.0,
            notify=facts.append,
        ) as stages:
            microphone = VirtualMicrophone(block_ms=10)
            speaker = VirtualSpeaker(stages.tts.sample_rate_hz, block_ms=10, output_latency_ms=20.0)
            session = Session(
                microphone,
                speaker,
                stages,
                history=new_history(settings),
                rules=session_rules(settings),
                notify=notify,
            )
            running = asyncio.create_task(session.run())
            microphone.play(question)
            async with asyncio.timeout(60.0):
                await is_over.wait()
            microphone.close()
            await running

    try:
        asyncio.run(main())
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):  # its engine, once left behind, ends it
                process.kill()
    assert len(frozen) == 1
    (closed,) = [event for event in events if isinstance(event, TurnClosed)]
    assert closed.outcome is Outcome.ANSWERED
    assert closed.transcript
    assert not [event for event in events if isinstance(event, StageFailed)]
    assert [fact.stage for fact in facts if isinstance(fact, StageReplaced)] == ["recognition"]
