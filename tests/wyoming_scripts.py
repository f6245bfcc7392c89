"""A Wyoming server on a thread that follows a script, for tests of the clients."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import async_read_event, async_write_event
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    Info,
    TtsProgram,
    TtsVoice,
    TtsVoiceSpeaker,
)
from wyoming.tts import SynthesizeStopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wyoming.event import Event

__all__ = ["ScriptedWyoming", "scripted_wyoming"]

BY = Attribution("nobody", "http://127.0.0.1")
PLAIN: dict[str, Any] = {"attribution": BY, "installed": True, "description": None, "version": "1"}

NONSENSE = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no_table": b"[1, 2]\n",
    "huge_payload": b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
    "negative": b'{"type": "audio-chunk", "payload_length": -1}\n',
    "huge_line": b"x" * 3_000_000,
    "error": b'{"type": "error", "data": {"text": "out of memory"}}\n',
    "odd_format": b'{"type": "audio-start", "data": {"rate": "loud"}}\n',
}


class ScriptedWyoming:
    """Transcribes to the number of samples; speaks a second of tone behind 0.1 s of silence.

    Attributes:
        mode: how it behaves at the next request.
        log: the types of all events that came.
        open: connections at the moment.
    """

    def __init__(self) -> None:
        self.mode = ""
        self.log: list[str] = []
        self.events: list[Event] = []
        self.open = 0
        self.connections = 0
        self.port = 0
        self.streams = False
        self.format = (22_050, 2, 1)
        self.voices = ["anna", "bert"]
        self.is_asr = self.is_tts = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        samples = 0
        while (event := await async_read_event(reader)) is not None:
            self.log.append(event.type)
            self.events.append(event)
            if event.type == "describe":
                await self.describe(writer)
            elif event.type == "audio-start":
                samples = 0
                await async_write_event(TranscriptStart().event(), writer)
            elif event.type == "audio-chunk":
                before, samples = samples, samples + AudioChunk.from_event(event).samples
                await self.hear(writer, before, samples)
                if self.mode == "closes_in_audio":
                    return
            elif event.type in {"audio-stop", "synthesize", "synthesize-stop"}:
                if not await self.trouble(reader, writer):
                    return
                if event.type == "audio-stop":
                    await async_write_event(Transcript(f" {samples} ").event(), writer)
                    return
                await self.speak(writer)
                if self.mode == "closes_behind":
                    return

    @staticmethod
    async def hear(writer: asyncio.StreamWriter, before: int, samples: int) -> None:
        if before < 8000 <= samples:
            for text in ("half a", " second"):
                await async_write_event(TranscriptChunk(text).event(), writer)

    async def describe(self, writer: asyncio.StreamWriter) -> None:
        if self.mode == "odd_info":
            writer.write(b'{"type": "info", "data": {"asr": [{"name": 1}], "tts": 3}}\n')
            return
        model = AsrModel(name="tiny", languages=["en", "de_DE"], **PLAIN)
        voices = [
            TtsVoice(name=name, languages=["en"], speakers=[TtsVoiceSpeaker("low")], **PLAIN)
            for name in self.voices
        ]
        info = Info(
            asr=[AsrProgram(name="asr", models=[model], **PLAIN)] if self.is_asr else [],
            tts=[
                TtsProgram(
                    name="tts",
                    voices=voices,
                    supports_synthesize_streaming=self.streams,
                    **PLAIN,
                )
            ]
            if self.is_tts
            else [],
        )
        await async_write_event(info.event(), writer)

    async def trouble(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Misbehave; whether to go on."""
        if self.mode == "hangs":
            await reader.read(1)
        elif self.mode == "closes_once":
            self.mode = ""
            return False
        elif self.mode == "breaks_off":
            rate_hz, width, channels = self.format
            await async_write_event(AudioStart(rate_hz, width, channels).event(), writer)
            audio = tone(rate_hz)[: rate_hz // 5 * 2]
            event = AudioChunk(rate_hz, width, channels, audio=audio).event()
            await async_write_event(event, writer)
        writer.write(NONSENSE.get(self.mode, b""))
        return self.mode not in {"closes", "hangs", "breaks_off"}

    async def speak(self, writer: asyncio.StreamWriter) -> None:
        rate_hz, width, channels = self.format
        await async_write_event(AudioStart(rate_hz, width, channels).event(), writer)
        lead = bytes(rate_hz // 10 * width * channels)
        audio = lead + (tone(rate_hz) if width == 2 else (b"\xff\x00" * rate_hz))
        # Odd pieces: a chunk need not end with a sample.
        for at in range(0, len(audio), 4099):
            piece = audio[at : at + 4099]
            await async_write_event(
                AudioChunk(rate_hz, width, channels, audio=piece).event(), writer
            )
        await async_write_event(AudioStop().event(), writer)
        if self.streams:
            await async_write_event(SynthesizeStopped().event(), writer)


def tone(rate_hz: int) -> bytes:
    """A second at 440 Hz, 16 bit."""
    time_s = np.arange(rate_hz) / rate_hz
    return (10_000 * np.sin(2 * np.pi * 440 * time_s)).astype("<i2").tobytes()


@contextmanager
def scripted_wyoming() -> Iterator[ScriptedWyoming]:
    """A scripted server that runs until the context is left."""
    script = ScriptedWyoming()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    over = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        script.port = server.sockets[0].getsockname()[1]
        started.set()
        await over.wait()
        server.close()
        await asyncio.sleep(0.05)  # connections under way are taken before they are dropped
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert started.wait(5)
    try:
        yield script
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()
