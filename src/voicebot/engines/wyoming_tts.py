"""Speech synthesis by a Wyoming server, such as wyoming-piper or ``voicebot serve-wyoming``.

One connection is kept from clause to clause. The protocol tells nothing of words, so chunks have
none: what was heard of a clause that is cut is not known, and counts as nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeVoice,
)

from voicebot.audio.loudness import first_audible, window_samples
from voicebot.audio.pcm import PcmReader
from voicebot.engines.private_loop import PrivateLoop
from voicebot.engines.protocols import SpeechChunk
from voicebot.engines.wyoming_client import describe
from voicebot.errors import AudioError, EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from wyoming.event import Event
    from wyoming.info import TtsProgram

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import StopFlag
    from voicebot.engines.wyoming_client import WyomingConnection, WyomingServer

__all__ = ["WyomingTts"]

_NAME = "the synthesis server"
_TRIAL = "Hello."
_LONGEST_CLAUSE_S = 120.0
_LEAD_MS = 5.0


class WyomingTts:
    """Speaks through a Wyoming server. A ``Tts``.

    The first word is spoken while loading: it tells the sample rate, and warms the server up.

    Args:
        server: where it is.
        voice: ``NAME`` or ``NAME#SPEAKER`` of the server's voices; empty is its own choice.
        language: an ISO 639 code for that choice; empty leaves it to the server.
        trims: whether leading silence is cut off; only measurements do without.

    Raises:
        EngineError: the server cannot be reached, does not speak, or has no such voice.
    """

    def __init__(
        self, server: WyomingServer, *, voice: str = "", language: str = "", trims: bool = True
    ) -> None:
        self._server = server
        self._trims = trims
        self._rate_hz = 0
        self._streams = False
        self.runs_as = voice
        self._connection: WyomingConnection | None = None
        name, _, speaker = voice.partition("#")
        self._voice: SynthesizeVoice | None = None
        if name:
            self._voice = SynthesizeVoice(name=name, speaker=speaker or None)
        elif language:
            self._voice = SynthesizeVoice(language=language)
        self._loop = PrivateLoop()
        try:
            self._loop.run(self._check())
        except BaseException:
            self.close()
            raise

    @property
    def sample_rate_hz(self) -> int:
        """The rate of every chunk it makes."""
        return self._rate_hz

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        """Speak ``text``, in chunks as they come from the server, without words.

        Raises:
            EngineError: the server is away, fails or closes the connection.
            EngineStuckError: it gave no sign of life in its time.
        """
        if not any(character.isalnum() for character in text):
            return
        yield from self._loop.iterate(self._chunks(text), stop)

    def close(self) -> None:
        """Close the connection."""
        self._loop.run(self._disconnect())
        self._loop.close()

    async def _check(self) -> None:
        connection = self._connection = await self._server.connect(_NAME)
        info = await describe(connection, f"{_NAME} {self._server.address}")
        if not info.tts:
            raise EngineError(
                f"the server {self._server.address} does not speak",
                f"correct {self._server.setting}",
            )
        self._check_voice(info.tts)
        names = [voice.name for program in info.tts for voice in program.voices]
        if len(names) == 1:
            self.runs_as = names[0]
        async for _ in self._chunks(_TRIAL):
            pass
        if not self._rate_hz:
            raise EngineError(
                f"{_NAME} {self._server.address} says nothing", "see the server's own log"
            )

    def _check_voice(self, programs: list[TtsProgram]) -> None:
        wanted = self._voice
        for program in programs:
            for voice in program.voices:
                speakers = {speaker.name for speaker in voice.speakers or ()}
                if wanted is None or wanted.name is None or wanted.name == voice.name:
                    self._streams = program.supports_synthesize_streaming
                    if wanted is None or wanted.speaker is None or wanted.speaker in speakers:
                        return
                    raise EngineError(
                        f"the voice {voice.name} has no speaker {wanted.speaker}",
                        f"it has {', '.join(sorted(speakers)) or 'one'}",
                    )
        if wanted is None or wanted.name is None:
            return  # a server that lists no voices may still have one
        names = [voice.name for program in programs for voice in program.voices]
        raise EngineError(
            f"{_NAME} {self._server.address} has no voice {wanted.name}",
            f"it has {', '.join(names) or 'none'}; choose one with tts.model",
        )

    async def _chunks(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        connection, event = await self._ask(text)
        is_over = False
        speech = _Speech(self._rate_hz, trims=self._trims)
        try:
            while True:
                samples = self._samples_of(event, speech)
                if len(samples):
                    yield SpeechChunk(samples)
                if self._is_last(event):
                    break
                event = await connection.read()
            is_over = True
        except AudioError as error:
            raise EngineError(f"{_NAME} {self._server.address} sent {error.problem}") from error
        finally:
            if not is_over:  # what is still under way must not be taken for the next clause's
                await self._disconnect()

    async def _ask(self, text: str) -> tuple[WyomingConnection, Event]:
        """Ask on the connection that is there; on a new one if the server has closed it."""
        connection = self._connection
        if connection is not None and connection.is_open:
            try:
                return connection, await self._first_event(connection, text)
            except EngineError:
                if connection.is_open:
                    await self._disconnect()
                    raise
            except BaseException:
                await self._disconnect()
                raise
        await self._disconnect()
        connection = self._connection = await self._server.connect(_NAME)
        try:
            return connection, await self._first_event(connection, text)
        except BaseException:
            await self._disconnect()
            raise

    async def _first_event(self, connection: WyomingConnection, text: str) -> Event:
        if self._streams:
            await connection.write(SynthesizeStart(voice=self._voice))
            await connection.write(SynthesizeChunk(text))
            await connection.write(SynthesizeStop())
        else:
            await connection.write(Synthesize(text, voice=self._voice))
        return await connection.read()

    def _is_last(self, event: Event) -> bool:
        return event.type == ("synthesize-stopped" if self._streams else "audio-stop")

    def _samples_of(self, event: Event, speech: _Speech) -> Samples:
        data = event.data
        if event.type == "audio-start":
            rate_hz = data.get("rate")
            if not self._rate_hz and isinstance(rate_hz, int):
                self._rate_hz = rate_hz
            return speech.begin(rate_hz, data.get("width"), data.get("channels"), self._rate_hz)
        if event.type == "audio-chunk":
            return speech.feed(event.payload or b"")
        if event.type == "audio-stop":
            return speech.end()
        return np.zeros(0, np.float32)

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()


class _Speech:
    """The sound of a clause as it comes in, without its leading silence."""

    def __init__(self, rate_hz: int, *, trims: bool) -> None:
        self._rate_hz = rate_hz
        self._reader: PcmReader | None = None
        self._has_begun = not trims
        self._quiet = np.zeros(0, np.float32)
        self._taken = 0

    def begin(self, rate_hz: object, width: object, channels: object, to_rate_hz: int) -> Samples:
        """A stretch begins; gives what was left of the one before.

        Raises:
            AudioError: its format cannot be used.
        """
        rest = self.end()
        self._rate_hz = to_rate_hz
        self._reader = PcmReader(rate_hz, width, channels, to_rate_hz=to_rate_hz)
        return rest

    def feed(self, data: bytes) -> Samples:
        """The next bytes of the stretch."""
        if self._reader is None:
            raise AudioError("audio without a format")
        samples = self._reader.feed(data)
        self._taken += len(samples)
        if self._taken > _LONGEST_CLAUSE_S * self._rate_hz:
            raise AudioError(f"more than {_LONGEST_CLAUSE_S:g} s of audio for a clause")
        return self._trimmed(samples)

    def end(self) -> Samples:
        """The stretch is over."""
        if self._reader is None:
            return np.zeros(0, np.float32)
        rest, self._reader = self._reader.flush(), None
        return self._trimmed(rest)

    def _trimmed(self, samples: Samples) -> Samples:
        if self._has_begun:
            return samples
        heard = np.concatenate((self._quiet, samples))
        window = window_samples(self._rate_hz)
        whole = heard[: len(heard) - len(heard) % window]
        first = first_audible(whole, self._rate_hz)
        if first is None:
            # The last window is kept for the lead of what follows.
            self._quiet = heard[max(0, len(whole) - window) :]
            return np.zeros(0, np.float32)
        self._has_begun = True
        self._quiet = np.zeros(0, np.float32)
        return heard[max(0, first - round(_LEAD_MS * self._rate_hz / 1000.0)) :]
