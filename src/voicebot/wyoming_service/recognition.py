"""One client's audio to text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop

from voicebot.audio.pcm import PcmReader
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import AudioError
from voicebot.wyoming_service.handover import Handover
from voicebot.wyoming_service.stable_words import StableWords

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wyoming.event import Event, Eventable

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Asr
    from voicebot.engines.protocols import Transcript as Partial
    from voicebot.worker import Worker
    from voicebot.wyoming_service.engine_pool import EnginePool

__all__ = ["Recognition"]

_BLOCKS_AHEAD = 64
_BLOCK_SAMPLES = INPUT_SAMPLE_RATE_HZ
_LONGEST_S = 600.0
_AHEAD_S = 10.0
_AHEAD_RATE = 4.0


class Recognition:
    """A request: its audio comes in, an engine hears it as soon as one is free.

    Until then the audio waits here, and where too much of it waits, on the network.

    Args:
        engines: the recognisers.
        send: sends the client an event.
        audio_start: the event that tells the audio's format.

    Raises:
        AudioError: the format cannot be used.
    """

    def __init__(
        self,
        engines: EnginePool[Asr],
        send: Callable[[Eventable], Awaitable[None]],
        audio_start: Event,
    ) -> None:
        data = audio_start.data
        self._engines = engines
        self._send = send
        self._reader = PcmReader(
            data.get("rate"),
            data.get("width"),
            data.get("channels"),
            to_rate_hz=INPUT_SAMPLE_RATE_HZ,
        )
        self._blocks: Handover[Samples] = Handover(_BLOCKS_AHEAD)
        self._taken_samples = 0
        self._task = asyncio.create_task(self._recognise())

    async def take(self, data: bytes) -> None:
        """The next bytes of audio.

        Raises:
            AudioError: it is longer than 10 minutes.
        """
        await self._put(self._reader.feed(data))

    async def finish(self) -> None:
        """The audio is over: send the transcript.

        Raises:
            VoicebotError: the engine failed.
        """
        await self._put(self._reader.flush())
        await self._blocks.end()
        await self._task

    async def drop(self) -> None:
        """Nobody wants it any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _put(self, samples: Samples) -> None:
        self._taken_samples += len(samples)
        if self._taken_samples > _LONGEST_S * INPUT_SAMPLE_RATE_HZ:
            raise AudioError(f"the audio is longer than {_LONGEST_S / 60:.0f} minutes", "send less")
        for at in range(0, len(samples), _BLOCK_SAMPLES):
            await self._blocks.put(samples[at : at + _BLOCK_SAMPLES])

    async def _recognise(self) -> None:
        try:
            async with self._engines.borrowed() as engine:
                text = await self._hear(engine)
        finally:
            self._blocks.leave()
        await self._send(Transcript(text=text))
        await self._send(TranscriptStop())

    async def _hear(self, engine: Worker[Asr]) -> str:
        loop = asyncio.get_running_loop()
        words = StableWords()
        begun_s = loop.time()
        fed_s = 0.0
        await engine.call(lambda asr: asr.start())
        await self._send(TranscriptStart())
        async for block in self._blocks.items():
            partial = await engine.call(_feeding(block))
            if partial is not None and (stable := words.feed(partial.text)):
                await self._send(TranscriptChunk(text=stable))
            # Engines refuse what they are far behind with, and a file may come all at once.
            fed_s += len(block) / INPUT_SAMPLE_RATE_HZ
            early_s = (fed_s - _AHEAD_S) / _AHEAD_RATE - (loop.time() - begun_s)
            if early_s > 0:
                await asyncio.sleep(early_s)
        text = (await engine.call(lambda asr: asr.finish())).text
        if rest := words.finish(text):
            await self._send(TranscriptChunk(text=rest))
        return text


def _feeding(block: Samples) -> Callable[[Asr], Partial | None]:
    return lambda asr: asr.feed(block)
