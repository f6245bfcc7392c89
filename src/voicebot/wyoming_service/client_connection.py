"""One client of the service, from its first event to its last."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wyoming.error import Error
from wyoming.event import async_write_event
from wyoming.info import Info
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from voicebot.engines.wyoming_wire import WyomingFormatError, read_event
from voicebot.errors import VoicebotError
from voicebot.wyoming_service.recognition import Recognition
from voicebot.wyoming_service.synthesis import Synthesis
from voicebot.wyoming_service.wishes import check_model, check_voice

if TYPE_CHECKING:
    from wyoming.event import Event, Eventable
    from wyoming.info import AsrProgram, TtsProgram

    from voicebot.engines.protocols import Asr, Tts
    from voicebot.wyoming_service.engine_pool import EnginePool
    from voicebot.wyoming_service.synthesis import SynthesisRules

__all__ = ["ClientConnection", "Patience", "Services"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may keep the service waiting.

    Attributes:
        in_request_s: for the next event of a request.
        between_requests_s: for the next request.
        to_take_s: until it takes what it is sent.
    """

    in_request_s: float = 30.0
    between_requests_s: float = 300.0
    to_take_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Services:
    """What a port offers.

    Attributes:
        recognition: what clients are told of the recogniser.
        recognisers: None if the port does not recognise.
        speech: what clients are told of the synthesiser.
        synthesisers: None if it does not speak.
        synthesis: how text is made ready.
    """

    recognition: AsrProgram
    recognisers: EnginePool[Asr] | None
    speech: TtsProgram
    synthesisers: EnginePool[Tts] | None
    synthesis: SynthesisRules

    def only(self, kind: str) -> Services:
        """The part for a port of one ``kind``: ``asr``, ``tts`` or ``both``."""
        return replace(
            self,
            recognisers=None if kind == "tts" else self.recognisers,
            synthesisers=None if kind == "asr" else self.synthesisers,
        )

    @property
    def info(self) -> Info:
        """The answer to ``describe``."""
        return Info(
            asr=[self.recognition] if self.recognisers is not None else [],
            tts=[self.speech] if self.synthesisers is not None else [],
        )


class ClientConnection:
    """Answers one client's requests, one of each kind at a time.

    Args:
        reader: of the client's socket.
        writer: of the client's socket.
        services: what it may ask for.
        patience: how long it is waited for.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        services: Services,
        patience: Patience,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._services = services
        self._patience = patience
        self._recognition: Recognition | None = None
        self._synthesis: Synthesis | None = None

    async def run(self) -> None:
        """Until the client leaves, falls silent or sends nonsense; never raises for its sake."""
        try:
            while (event := await self._next_event()) is not None:
                await self._answer(event)
        except WyomingFormatError as error:
            with suppress(OSError, TimeoutError):
                await self._send(Error(text=error.problem, code="malformed-event"))
        except (OSError, TimeoutError) as error:
            _log.debug("a client left: %s", error)
        finally:
            await self._drop_requests()

    async def _next_event(self) -> Event | None:
        is_busy = self._recognition is not None or self._synthesis is not None
        patience = self._patience
        timeout_s = patience.in_request_s if is_busy else patience.between_requests_s
        async with asyncio.timeout(timeout_s):
            return await read_event(self._reader)

    async def _send(self, event: Eventable) -> None:
        async with asyncio.timeout(self._patience.to_take_s):
            await async_write_event(event.event(), self._writer)

    async def _answer(self, event: Event) -> None:
        try:
            self._check_wishes(event)
            await self._act_on(event)
        except WyomingFormatError:
            raise
        except VoicebotError as error:
            await self._drop_requests()
            await self._send(Error(text=str(error), code=type(error).__name__))

    async def _act_on(self, event: Event) -> None:
        match event.type:
            case "describe":
                await self._send(self._services.info)
            case "ping":
                text = event.data.get("text")
                await self._send(Pong(text=text if isinstance(text, str) else None))
            case "audio-start" if self._services.recognisers is not None:
                await self._drop_recognition()
                self._recognition = Recognition(self._services.recognisers, self._send, event)
            case "audio-chunk" if self._recognition is not None:
                await self._recognition.take(event.payload or b"")
            case "audio-stop" if self._recognition is not None:
                await self._recognition.finish()
                self._recognition = None
            case "synthesize" if self._synthesis is None:
                # Within a stream it repeats the text, for servers that do not stream.
                self._begin_synthesis()
                await self._speak(_text_of(event))
            case "synthesize-start":
                await self._drop_synthesis()
                self._begin_synthesis()
            case "synthesize-chunk" if self._synthesis is not None:
                await self._synthesis.take(_text_of(event))
            case "synthesize-stop" if self._synthesis is not None:
                await self._speak("")
                await self._send(SynthesizeStopped())

    def _check_wishes(self, event: Event) -> None:
        services = self._services
        if event.type == "transcribe" and services.recognisers is not None:
            check_model(event.data, services.recognition)
        if event.type in {"synthesize", "synthesize-start"} and services.synthesisers is not None:
            check_voice(event.data, services.speech)

    def _begin_synthesis(self) -> None:
        if self._services.synthesisers is not None:
            self._synthesis = Synthesis(
                self._services.synthesisers, self._send, self._services.synthesis
            )

    async def _speak(self, text: str) -> None:
        if self._synthesis is not None:
            await self._synthesis.take(text)
            await self._synthesis.finish()
            self._synthesis = None

    async def _drop_requests(self) -> None:
        await self._drop_recognition()
        await self._drop_synthesis()

    async def _drop_recognition(self) -> None:
        if self._recognition is not None:
            recognition, self._recognition = self._recognition, None
            await recognition.drop()

    async def _drop_synthesis(self) -> None:
        if self._synthesis is not None:
            synthesis, self._synthesis = self._synthesis, None
            await synthesis.drop()


def _text_of(event: Event) -> str:
    text = event.data.get("text")
    if not isinstance(text, str):
        raise WyomingFormatError(f"the event {event.type} has no text")
    return text
