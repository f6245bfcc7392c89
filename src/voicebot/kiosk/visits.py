"""Visitors come, talk and go: loads the models, holds one conversation after another, forgets each.

Nothing here ends the kiosk: a conversation that fails is told of and followed by the next, models
that cannot be loaded are tried again, ever more seldom.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from voicebot.conversation_rules import new_history, session_rules
from voicebot.errors import VoicebotError
from voicebot.events import (
    ClauseSpoken,
    Outcome,
    PartialTranscript,
    ReplyRepeated,
    StageFailed,
    TurnClosed,
)
from voicebot.kiosk.browser_microphone import BrowserMicrophone
from voicebot.kiosk.browser_speaker import BrowserSpeaker
from voicebot.kiosk.compose import kiosk_parts
from voicebot.kiosk.latencies import Latencies
from voicebot.kiosk.memory import return_free_memory
from voicebot.kiosk.muting import MutableSource
from voicebot.kiosk.narrator import Narrator
from voicebot.kiosk.page_messages import Captions, Hello, Notice, State, Volume
from voicebot.kiosk.protocol import (
    PROTOCOL_VERSION,
    Audible,
    Begin,
    Cleared,
    End,
    Join,
    Late,
    PageMessage,
    PlaybackReport,
    Pong,
    ProtocolError,
    SetLanguage,
)
from voicebot.languages import find_language
from voicebot.session import Session
from voicebot.supervision.facts import ConversationForgotten
from voicebot.supervision.microphone_watch import WatchedSource
from voicebot.supervision.spoken_notices import spoken_notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.config import Settings
    from voicebot.events import Event
    from voicebot.kiosk.compose import KioskParts
    from voicebot.kiosk.page_messages import StateName
    from voicebot.kiosk.pages import Page, Pages
    from voicebot.kiosk.protocol import MicrophoneFrame
    from voicebot.stages import Stages
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["OpenCard", "OpenStages", "Visits", "offered_languages"]

OpenStages: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Stages]]"
"""Opens the stages of a language, by its code; leaving closes them."""

OpenCard: TypeAlias = "Callable[[int], AbstractAsyncContextManager[tuple[AudioSource, AudioSink]]]"
"""Opens the sound card for a bot that speaks at so many samples a second; leaving closes it."""

_EndReason: TypeAlias = Literal["forgotten", "goodbye", "language", "restarted", "failed", "left"]

_TICK_S = 0.05
_SILENT_MICROPHONE_S = 3.0
_RETRY_FIRST_S = 1.0
_RETRY_MOST_S = 60.0
_FULL_VOLUME_PERCENT = 100

_log = logging.getLogger("voicebot.kiosk")


def offered_languages(settings: Settings) -> tuple[str, ...]:
    """The languages to choose from; the conversation's own is always among them.

    Raises:
        ConfigError: one of them is not known.
    """
    listed = [
        find_language(code.strip()).code
        for code in settings.kiosk.languages.split(",")
        if code.strip()
    ]
    return tuple(dict.fromkeys([settings.language, *listed]))


class Visits:
    """All conversations of a kiosk, one after another.

    Args:
        settings: of the kiosk and of the conversations.
        pages: the open pages.
        open_stages: loads the models of a language.
        open_card: opens the sound card; needed where ``kiosk.audio`` is ``card``.
        observe: takes every fact; must not block or raise.
    """

    def __init__(
        self,
        settings: Settings,
        pages: Pages,
        open_stages: OpenStages,
        *,
        open_card: OpenCard | None = None,
        observe: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._pages = pages
        self._open_stages = open_stages
        self._open_card = open_card
        self._observe = observe
        self._languages = offered_languages(settings)
        self._language = settings.language
        self._playback_rate_hz = 0
        self._state: StateName = "starting"
        self._wanted = asyncio.Event()
        self._ending: asyncio.Event = asyncio.Event()
        self._end_reason: _EndReason = "goodbye"
        self._is_reloading = False
        self._narrator: Narrator | None = None
        self._last_sign_s = 0.0
        self._talker_gone_s: float | None = None
        self._has_turns = False
        self._microphone_told = False
        self._is_muted = False
        self._volume_percent = _FULL_VOLUME_PERCENT
        self._parts: KioskParts | None = None
        self._closings: dict[int, asyncio.Future[TurnClosed]] = {}
        self._exchanges = 0
        self._announced_turn: int | None = None
        self.microphone = BrowserMicrophone()
        self.speaker: BrowserSpeaker | None = None
        self.session: Session | None = None
        self.latencies = Latencies()
        self.outcomes: Counter[str] = Counter()
        self.visits = 0
        self.stage_failures = 0

    @property
    def state(self) -> StateName:
        """What goes on."""
        return self._state

    @property
    def language(self) -> str:
        """The language of the conversation."""
        return self._language

    @property
    def playback_rate_hz(self) -> int:
        """The rate of the bot's audio; 0 while the models load."""
        return self._playback_rate_hz

    @property
    def is_browser(self) -> bool:
        """Whether a page is microphone and loudspeaker, not the sound card."""
        return self._settings.kiosk.audio == "browser"

    @property
    def is_muted(self) -> bool:
        """Whether it listens to nobody."""
        return self._is_muted

    @property
    def volume_percent(self) -> int:
        """How loud the pages play, as it was last asked for from afar."""
        return self._volume_percent

    @property
    def underruns(self) -> int:
        """How often the pages' loudspeaker ran dry."""
        return 0 if self.speaker is None else self.speaker.underruns

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is talking."""
        return self.session is None or self.session.is_idle

    async def run(self) -> None:
        """Load, converse, forget, over and over, until cancelled."""
        retry_s = _RETRY_FIRST_S
        async with kiosk_parts(self._settings, self) as parts:
            self._parts = parts
            while True:
                self._is_reloading = False
                self._enter("starting")
                try:
                    async with self._open_stages(self._language) as stages:
                        retry_s = _RETRY_FIRST_S
                        await self._receive_visitors(parts.wrap_stages(stages), parts)
                except VoicebotError as error:
                    _log.error("%s", error)  # one line says all of an expected one
                    if self._language != self._settings.language:
                        self._language = self._settings.language
                        self._pages.tell(Notice("failed"))
                        continue
                    await asyncio.sleep(retry_s)
                    retry_s = min(_RETRY_MOST_S, 2 * retry_s)

    # What the pages bring.

    def join(self, page: Page, join: Join) -> None:
        """A page was opened, or opened again.

        Raises:
            ProtocolError: it is of another version.
        """
        if join.version != PROTOCOL_VERSION:
            raise ProtocolError(f"a page of version {join.version}: reload it")
        self._pages.add(page)
        page.send(self._hello())
        page.send(State(self._state))
        if self._volume_percent != _FULL_VOLUME_PERCENT:
            page.send(Volume(self._volume_percent))
        is_back = bool(join.visit) and self._pages.return_to_seat(page, join.visit)
        self._pages.tell_seat(page)
        if self._narrator is not None:
            page.send(self._narrator.captions)
        if is_back:
            page.send(Notice("continued"))

    def leave(self, page: Page) -> None:
        """A page is gone."""
        was_talker = self._pages.talker is page
        self._pages.remove(page)
        if was_talker and self.is_browser:
            self._detach()
            self._talker_gone_s = self._now()

    def take_audio(self, page: Page, frame: MicrophoneFrame) -> None:
        """Audio of a page; only that of the one with the seat counts.

        Raises:
            ProtocolError: it breaks the protocol.
        """
        if page is self._pages.talker:
            self.microphone.push(frame)

    def take(self, page: Page, message: PageMessage) -> None:
        """What a page says.

        Raises:
            ProtocolError: it breaks the protocol.
        """
        match message:
            case Pong():
                page.ponged(message)
            case PlaybackReport():
                page.played(message)
                self._attach_speaker(page)
            case Begin():
                self._begin(page, message)
            case End() if page is self._pages.talker or not self.is_browser:
                self._end("goodbye")
            case SetLanguage(code=code):
                if not self._pages.is_taken or page is self._pages.talker:
                    self.set_language(code)
            case Cleared() | Late() | Audible() if page is self._pages.talker:
                self._take_playback(page, message)
            case Join():
                raise ProtocolError("a second join")
            case _:
                pass

    def _take_playback(self, page: Page, message: Cleared | Late | Audible) -> None:
        speaker = self.speaker
        if speaker is None:
            return
        match message:
            case Cleared(sequence=sequence, frame=frame):
                speaker.was_cleared(sequence, frame)
            case Late(utterance=utterance, frames=frames):
                speaker.was_late(utterance, frames)
            case Audible(utterance=utterance, page_ms=page_ms):
                is_present = utterance == speaker.utterance and self._narrator is not None
                if is_present and self._narrator is not None and page.page_clock.is_known:
                    self._narrator.was_audible(page.to_server_s(page_ms))

    def _begin(self, page: Page, begin: Begin) -> None:
        if not self._pages.take_seat(page):
            self._pages.tell_seat(page)
            return
        self._talker_gone_s = None
        if self.is_browser:
            self.microphone.attach(
                begin.rate_hz, page.page_clock, input_latency_s=begin.input_latency_ms / 1000.0
            )
            self._attach_speaker(page)
        self._wanted.set()

    def _attach_speaker(self, page: Page) -> None:
        speaker = self.speaker
        if (
            speaker is not None
            and page is self._pages.talker
            and page.playback_clock.is_known
            and not speaker.is_attached_to(page)
        ):
            speaker.attach(page)

    def _detach(self) -> None:
        self.microphone.detach()
        if self.speaker is not None:
            self.speaker.detach()

    # What may be asked of it.

    def begin_visit(self) -> None:
        """Listen to whoever is there."""
        self._wanted.set()

    def end_visit(self) -> None:
        """End the conversation and forget it."""
        self._end("goodbye")

    def set_language(self, code: str) -> None:
        """Hold the next conversation in that language; ignored if it is not offered."""
        if code in self._languages and code != self._language:
            self._language = code
            self._is_reloading = True
            self._end("language")

    def set_volume(self, percent: int) -> None:
        """How loud the pages play."""
        self._volume_percent = max(0, min(100, percent))
        self._pages.tell(Volume(self._volume_percent))

    def set_muted(self, *, muted: bool) -> None:
        """Listen to nobody, or listen again."""
        self._is_muted = muted

    def say(self, text: str) -> asyncio.Future[TurnClosed]:
        """Speak ``text`` as it stands; cancelled if the conversation ends before.

        Raises:
            VoicebotError: no conversation is going on, or the text is empty.
        """
        return self._closing_of(self._require_session().announce(text))

    def ask(self, text: str) -> asyncio.Future[TurnClosed]:
        """Answer ``text`` as a visitor's words; cancelled if the conversation ends before.

        Raises:
            VoicebotError: no conversation is going on, or the text is empty.
        """
        return self._closing_of(self._require_session().answer_text(text))

    def _require_session(self) -> Session:
        if self.session is None:
            raise VoicebotError("no conversation is going on", "somebody must begin one")
        return self.session

    def _closing_of(self, turn: int | None) -> asyncio.Future[TurnClosed]:
        if turn is None:
            raise VoicebotError("the text is empty")
        return self._closings.setdefault(turn, asyncio.get_running_loop().create_future())

    def tell_fact(self, fact: SupervisionFact) -> None:
        """Hand on what supervision found: to the log, the parts and, if need be, visitors."""
        _log.warning("%s", fact.line)
        for observer in self._parts.fact_observers if self._parts is not None else ():
            observer(fact)
        words = spoken_notice(fact, self._language)
        if words is not None and self.session is not None:
            self.session.announce(words)

    def restart(self) -> None:
        """Load the models anew."""
        _log.info("restart was asked for")
        self._is_reloading = True
        self._end("restarted")

    # Visits.

    async def _receive_visitors(self, stages: Stages, parts: KioskParts) -> None:
        self._playback_rate_hz = stages.tts.sample_rate_hz
        self.speaker = BrowserSpeaker(self._playback_rate_hz) if self.is_browser else None
        self._pages.play_at(self._playback_rate_hz)
        self._pages.tell(self._hello())
        try:
            while not self._is_reloading:
                await self._receive_visitor(stages, parts)
        finally:
            self._detach()
            self.speaker = None
            self._playback_rate_hz = 0

    async def _receive_visitor(self, stages: Stages, parts: KioskParts) -> None:
        self._ending.clear()
        self._enter("inviting")
        if not self._wanted.is_set():
            await _first_of(self._wanted, self._ending)
        if self._ending.is_set():
            return
        self._has_turns = self._microphone_told = False
        self._announced_turn = None
        if self._settings.kiosk.start == "touch":
            self.visits += 1
        self._last_sign_s = self._now()
        waits = self._settings.kiosk.start == "speech"
        quiet_state: StateName = "inviting" if waits else "listening"
        self._narrator = Narrator(self.latencies, quiet_state=quiet_state)
        self._pages.tell(Captions(()))
        self._enter(self._narrator.state)
        try:
            async with self._audio() as (source, sink):
                session = self._session(source, sink, stages, parts)
                await self._hold_conversation(session)
        except VoicebotError as error:
            self._end_reason = "failed"
            _log.error("%s", error)  # one line says all of an expected one
            await asyncio.sleep(_RETRY_FIRST_S)
        except Exception:  # noqa: BLE001  # a bug costs a conversation, not the kiosk
            self._end_reason = "failed"
            _log.exception("the conversation failed")
            await asyncio.sleep(_RETRY_FIRST_S)
        finally:
            self._narrator = None
            self._forget()
            return_free_memory()

    async def _hold_conversation(self, session: Session) -> None:
        talking = asyncio.create_task(session.run())
        self.session = session
        try:
            while not self._ending.is_set() and not talking.done():
                await asyncio.wait({talking}, timeout=_TICK_S)
                self._watch(session)
        finally:
            self.session = None
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            for closing in self._closings.values():
                closing.cancel()
            self._closings.clear()
        if not talking.cancelled() and (error := talking.exception()) is not None:
            raise error

    def _watch(self, session: Session) -> None:
        """What time alone brings: words that are over, a visitor gone, a dead microphone."""
        now_s = self._now()
        if self._narrator is not None:
            for message in self._narrator.tell_heard(*session.heard_so_far()):
                self._pages.tell(message)
        if not session.is_idle:
            self._last_sign_s = now_s
        kiosk = self._settings.kiosk
        is_waiting = kiosk.start == "speech" and not self._has_turns
        if not is_waiting and now_s - self._last_sign_s > kiosk.forget_after_s:
            self._end("forgotten")
        gone_s = self._talker_gone_s
        if gone_s is not None and now_s - gone_s > kiosk.keep_seat_s:
            self._end("left")
        self._watch_microphone(now_s)

    def _watch_microphone(self, now_s: float) -> None:
        if not self.microphone.is_attached:
            return
        is_silent = now_s - self.microphone.last_frame_s > _SILENT_MICROPHONE_S
        if is_silent and not self._microphone_told:
            _log.warning("the page's microphone has delivered nothing for 3 s")
            self._pages.tell(Notice("microphone"))
        self._microphone_told = is_silent

    @asynccontextmanager
    async def _audio(self) -> AsyncIterator[tuple[AudioSource, AudioSink]]:
        if self.speaker is not None:
            yield self.microphone, self.speaker
        elif self._open_card is not None:
            async with self._open_card(self._playback_rate_hz) as card:
                yield card

    def _session(
        self, source: AudioSource, sink: AudioSink, stages: Stages, parts: KioskParts
    ) -> Session:
        settings = self._settings.model_copy(update={"language": self._language})

        def notify(event: Event) -> None:
            self._notify(event)
            for observer in parts.observers:
                observer(event)

        watched = WatchedSource(
            source,
            dead_after_s=self._settings.supervision.dead_microphone_s,
            notify=self.tell_fact,
            is_meant_to_be_silent=lambda: self.is_browser and not self.microphone.is_attached,
        )
        return Session(
            MutableSource(watched, lambda: self._is_muted),
            sink,
            stages,
            history=new_history(settings),
            rules=session_rules(settings),
            notify=notify,
        )

    def _notify(self, event: Event) -> None:
        self._observe(event)
        match event:
            case ReplyRepeated(turn=turn, repeats=0):
                self._announced_turn = turn
            case ClauseSpoken(turn=turn) if turn == self._announced_turn:
                pass  # the bot speaks, but nobody came
            case PartialTranscript() | ClauseSpoken() if not self._has_turns:
                self._has_turns = True
                self.visits += self._settings.kiosk.start == "speech"
            case StageFailed(error=error):
                self.stage_failures += 1
                _log.warning("%s", error)
            case TurnClosed(outcome=outcome):
                self.outcomes[outcome.value] += 1
                self._exchanges += outcome is Outcome.ANSWERED
                if (closing := self._closings.pop(event.turn, None)) is not None:
                    closing.set_result(event)
            case _:
                pass
        if self._narrator is not None:
            for message in self._narrator.tell(event):
                if isinstance(message, State):
                    self._state = message.state
                self._pages.tell(message)

    def _end(self, reason: _EndReason) -> None:
        if not self._ending.is_set():
            self._end_reason = reason
            self._ending.set()

    def _forget(self) -> None:
        """The visit is over: nothing of it is kept, and all pages are told."""
        if self.speaker is not None:
            self.speaker.clear()
        stays = self._settings.kiosk.start == "speech" and self._pages.talker is not None
        if not stays:
            self._wanted.clear()
            self._detach()
            self._pages.free()
        self._talker_gone_s = None
        exchanges, self._exchanges = self._exchanges, 0
        if exchanges and self._end_reason == "forgotten":
            self.tell_fact(ConversationForgotten(exchanges, self._settings.kiosk.forget_after_s))
        for forgotten in self._parts.on_forgotten if self._parts is not None else ():
            forgotten()
        self._pages.tell(Captions(()))
        if self._end_reason != "left":
            self._pages.tell(Notice(self._end_reason))
        self._enter("starting" if self._is_reloading else "inviting")

    def _enter(self, state: StateName) -> None:
        if state != self._state:
            self._state = state
            self._pages.tell(State(state))

    def _hello(self) -> Hello:
        kiosk = self._settings.kiosk
        examples = tuple(one.strip() for one in kiosk.examples.split("|") if one.strip())
        return Hello(
            version=PROTOCOL_VERSION,
            playback_rate_hz=self._playback_rate_hz,
            audio=kiosk.audio,
            start=kiosk.start,
            touch=kiosk.touch,
            title=kiosk.title,
            examples=examples,
            language=self._language,
            languages=self._languages,
            theme=kiosk.theme,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
