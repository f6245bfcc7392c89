"""Speech recognition by a Wyoming server, such as wyoming-faster-whisper or ``serve-wyoming``.

The audio goes to the server while the user speaks, so that the end of the turn costs no more than
the server's decoding. Many servers close the connection behind a transcript, so each asking has a
connection of its own. A turn that goes on after its transcript is sent again from its beginning.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from voicebot.audio.pcm import pcm16
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.private_loop import PrivateLoop
from voicebot.engines.protocols import Transcript
from voicebot.engines.wyoming_client import describe
from voicebot.errors import EngineError, VoicebotError

if TYPE_CHECKING:
    from wyoming.event import Event
    from wyoming.info import AsrProgram

    from voicebot.audio.samples import Samples
    from voicebot.engines.wyoming_client import WyomingConnection, WyomingServer

__all__ = ["WyomingAsr"]

_NAME = "the recognition server"
_WIDTH_BYTES = 2
_CHUNK_SAMPLES = INPUT_SAMPLE_RATE_HZ // 2
_MAX_TURN_S = 300
"""So much of a turn's audio is kept to be sent again: 10 MB."""


class WyomingAsr:
    """Recognises one turn at a time. An ``Asr``.

    A connection that fails in the middle of a turn is made anew, and the turn is sent again, as
    long as no transcript was asked for; then the failure is raised. The next turn begins afresh.

    Args:
        server: where it is.
        model: one of the server's models; empty is its own choice.
        language: an ISO 639 code; empty leaves it to the server.

    Attributes:
        runs_as: the model's name, if it is asked for or the server has no other.

    Raises:
        EngineError: the server cannot be reached, recognises no speech, or has no such model.
    """

    def __init__(self, server: WyomingServer, *, model: str = "", language: str = "") -> None:
        self._server = server
        self._language = language or None
        self._model = model or None
        self.runs_as = model
        self._audio: list[bytes] = []
        self._audio_bytes = 0
        self._asking: _Asking | None = None
        self._final: Transcript | None = None
        self._told = ""
        self._loop = PrivateLoop()
        try:
            self._loop.run(self._check())
        except BaseException:
            self._loop.close()
            raise

    def start(self) -> None:
        """Begin a new turn. A server that is away is met by ``finish``."""
        self._drop_asking()
        self._audio = []
        self._audio_bytes = 0
        self._final = None
        self._told = ""
        self._ask_quietly()

    def feed(self, samples: Samples) -> Transcript | None:
        """Send the next audio.

        Args:
            samples: shape (n,), float32, 16 kHz. NaN and infinities count as silence.

        Returns:
            What the server has understood so far, if it tells that and it changed.
        """
        if not len(samples):
            return None
        data = pcm16(samples)
        self._keep(data)
        if self._final is not None:
            # The user went on: the server has to hear the turn again from its beginning.
            self._final = None
            self._ask_quietly()
        elif self._asking is not None:
            self._send_quietly(data)
        asking = self._asking
        if asking is None:
            return None
        self._loop.catch_up()
        text = asking.partial.strip()
        if not text or text == self._told:
            return None
        self._told = text
        return Transcript(text, final=False)

    def finish(self) -> Transcript:
        """The server's transcript of all that was fed since ``start``; ``feed`` may follow.

        Raises:
            EngineError: the server is away, fails or closes the connection.
            EngineStuckError: no answer in its time.
        """
        if self._final is not None:
            return self._final
        if not self._audio:
            return Transcript("", final=True)
        try:
            text = self._loop.run(self._finish())
        finally:
            self._drop_asking()
        self._final = Transcript(text.strip(), final=True)
        self._told = self._final.text
        return self._final

    def close(self) -> None:
        """Close the connection."""
        self._drop_asking()
        self._loop.close()

    async def _finish(self) -> str:
        asking = self._asking
        if asking is None or not asking.is_alive:
            if asking is not None:
                await asking.close()
            asking = self._asking = await self._ask()
        return await asking.finish(self._server.answer_timeout_s)

    async def _check(self) -> None:
        connection = await self._server.connect(_NAME)
        try:
            info = await describe(connection, f"{_NAME} {self._server.address}")
        finally:
            await connection.close()
        if not info.asr:
            raise EngineError(
                f"the server {self._server.address} recognises no speech",
                f"correct {self._server.setting}",
            )
        names = [model.name for program in info.asr for model in program.models]
        if self._model is not None and self._model not in names:
            raise EngineError(
                f"{_NAME} {self._server.address} has no model {self._model}",
                f"it has {', '.join(names) or 'none'}; choose one with asr.model",
            )
        self._check_language(info.asr)
        if len(names) == 1:
            self.runs_as = names[0]

    def _check_language(self, programs: list[AsrProgram]) -> None:
        known = {
            language.lower().replace("_", "-").split("-")[0]
            for program in programs
            for model in program.models
            if self._model in {None, model.name}
            for language in model.languages
        }
        if self._language and known and self._language not in known:
            raise EngineError(
                f"{_NAME} {self._server.address} does not know the language {self._language}",
                f"it knows {', '.join(sorted(known))}; choose another model with asr.model",
            )

    async def _ask(self) -> _Asking:
        """A connection that has been sent the turn so far."""
        connection = await self._server.connect(_NAME)
        asking = _Asking(connection)
        try:
            await connection.write(Transcribe(name=self._model, language=self._language))
            await connection.write(AudioStart(INPUT_SAMPLE_RATE_HZ, _WIDTH_BYTES, 1))
            for data in self._audio:
                await connection.write(_chunk(data))
        except BaseException:
            await asking.close()
            raise
        asking.listen()
        return asking

    def _ask_quietly(self) -> None:
        """Ask, or leave it to ``finish``, where a failure can be raised."""
        self._drop_asking()
        try:
            self._asking = self._loop.run(self._ask())
        except VoicebotError:
            self._asking = None

    def _send_quietly(self, data: bytes) -> None:
        try:
            if self._asking is not None:
                self._loop.run(self._asking.send(data))
        except VoicebotError:
            self._drop_asking()

    def _drop_asking(self) -> None:
        if self._asking is not None:
            asking, self._asking = self._asking, None
            self._loop.run(asking.close())

    def _keep(self, data: bytes) -> None:
        size = _CHUNK_SAMPLES * _WIDTH_BYTES
        if self._audio and len(self._audio[-1]) + len(data) <= size:
            self._audio[-1] += data
        else:
            self._audio += [data[at : at + size] for at in range(0, len(data), size)]
        self._audio_bytes += len(data)
        while self._audio_bytes > _MAX_TURN_S * INPUT_SAMPLE_RATE_HZ * _WIDTH_BYTES:
            self._audio_bytes -= len(self._audio.pop(0))


class _Asking:
    """One connection and what has come back on it."""

    def __init__(self, connection: WyomingConnection) -> None:
        self._connection = connection
        self._listening: asyncio.Task[str] | None = None
        self.partial = ""

    @property
    def is_alive(self) -> bool:
        """Whether the server can still be expected to answer."""
        is_over = self._listening is not None and self._listening.done()
        return self._connection.is_open and not is_over

    def listen(self) -> None:
        """Take what comes back from now on, whenever the loop runs."""
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def send(self, data: bytes) -> None:
        """Send 16-bit PCM."""
        await self._connection.write_soon(_chunk(data))

    async def finish(self, timeout_s: float) -> str:
        """Say that the audio is over and wait for the transcript."""
        assert self._listening is not None  # noqa: S101  # it listens from the first on
        await self._connection.write(AudioStop())
        try:
            async with asyncio.timeout(timeout_s):
                return await self._listening
        except TimeoutError:
            raise self._connection.stuck() from None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
            if not self._listening.cancelled():
                self._listening.exception()  # of something that is wanted no more
        await self._connection.close()

    async def _listen(self) -> str:
        while True:
            event = await self._connection.read(waits_long=True)
            text = _text_of(event)
            if event.type == "transcript-start":
                self.partial = ""
            elif event.type == "transcript-chunk":
                self.partial += text
            elif event.type == "transcript":
                return text


def _chunk(data: bytes) -> AudioChunk:
    return AudioChunk(INPUT_SAMPLE_RATE_HZ, _WIDTH_BYTES, 1, audio=data)


def _text_of(event: Event) -> str:
    text = event.data.get("text")
    return text if isinstance(text, str) else ""
