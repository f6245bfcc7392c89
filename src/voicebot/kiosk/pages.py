"""The pages that are open: what they are told, and which of them has the seat.

One visitor talks at a time. Whoever holds the seat is microphone and loudspeaker; all others see
the captions. A page that was cut off finds its seat kept for a while, by the name of its visit.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from typing import TYPE_CHECKING

from voicebot.kiosk.clocks import PageClock, PlaybackClock
from voicebot.kiosk.page_messages import Ping, Seat
from voicebot.kiosk.protocol import encode_message, encode_reply_frame

if TYPE_CHECKING:
    from voicebot.kiosk.page_messages import Clear, ServerMessage
    from voicebot.kiosk.protocol import PlaybackReport, Pong, ReplyFrame

__all__ = ["Page", "Pages"]

_OUTBOX_MAX = 512
_PINGS_OPEN_MAX = 16

_log = logging.getLogger("voicebot.kiosk.pages")


class Page:
    """One open page.

    Args:
        playback_rate_hz: of the audio that it is sent.
    """

    def __init__(self, playback_rate_hz: int) -> None:
        self.page_clock = PageClock()
        self.playback_clock = PlaybackClock(max(1, playback_rate_hz))
        self.outbox: asyncio.Queue[str | bytes] = asyncio.Queue(_OUTBOX_MAX)
        self.joined = asyncio.Event()
        self.is_too_slow = asyncio.Event()
        self.is_unwanted = asyncio.Event()
        self._pings: dict[int, float] = {}
        self._next_ping = 0

    def send(self, message: ServerMessage) -> None:
        """Queue a message; a page that does not take them is given up."""
        self._put(encode_message(message))

    def send_reply(self, frame: ReplyFrame) -> None:
        """Queue a frame of audio."""
        self._put(encode_reply_frame(frame))

    def send_clear(self, clear: Clear) -> None:
        """Drop the audio that has not left yet, and queue the order to fall silent."""
        waiting: list[str | bytes] = []
        while not self.outbox.empty():
            waiting.append(self.outbox.get_nowait())
        for message in waiting:
            if isinstance(message, str):
                self.outbox.put_nowait(message)
        self.send(clear)

    def ping(self) -> None:
        """Ask for the page's clock."""
        number = self._next_ping
        self._next_ping += 1
        self._pings[number] = self._now()
        while len(self._pings) > _PINGS_OPEN_MAX:
            del self._pings[next(iter(self._pings))]
        self.send(Ping(number))

    def ponged(self, pong: Pong) -> None:
        """The page answered; an answer to no ping counts for nothing."""
        sent_s = self._pings.pop(pong.id, None)
        if sent_s is not None:
            self.page_clock.observe(
                sent_s=sent_s, page_s=pong.page_ms / 1000.0, received_s=self._now()
            )

    def played(self, report: PlaybackReport) -> None:
        """The page told where its playback is; without its clock that says nothing."""
        if not self.page_clock.is_known or report.rate_hz != self.playback_clock.rate_hz:
            return
        self.playback_clock.observe(
            rendered_frame=report.rendered_frame,
            at_s=self.to_server_s(report.page_ms),
            output_frame=report.output_frame,
            output_at_s=self.to_server_s(report.output_page_ms),
        )

    def to_server_s(self, page_ms: float) -> float:
        """The loop's time of an instant on the page's clock; needs an answered ping."""
        return self.page_clock.to_server(page_ms / 1000.0, now_s=self._now())

    def _put(self, data: str | bytes) -> None:
        try:
            self.outbox.put_nowait(data)
        except asyncio.QueueFull:
            self.is_too_slow.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class Pages:
    """All open pages."""

    def __init__(self) -> None:
        self._open: list[Page] = []
        self._talker: Page | None = None
        self._visit = ""
        self.dropped = 0

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def talker(self) -> Page | None:
        """The page that has the seat, if it is connected."""
        return self._talker

    @property
    def is_taken(self) -> bool:
        """Whether a visit goes on, its page connected or not."""
        return bool(self._visit)

    def play_at(self, rate_hz: int) -> None:
        """From now on the bot's audio has this rate; every page's playback begins anew."""
        for page in self._open:
            page.playback_clock = PlaybackClock(rate_hz)

    def add(self, page: Page) -> None:
        """A page was opened."""
        self._open.append(page)

    def remove(self, page: Page) -> None:
        """A page is gone; its seat is kept until ``free``."""
        if page in self._open:
            self._open.remove(page)
        if self._talker is page:
            self._talker = None

    def tell(self, message: ServerMessage) -> None:
        """Tell all pages."""
        for page in list(self._open):
            page.send(message)

    def take_seat(self, page: Page) -> bool:
        """Give ``page`` the seat if nobody has it; whether it has it now."""
        if self._talker is not page:
            if self.is_taken:
                return False
            self._talker = page
            self._visit = secrets.token_urlsafe(16)
        self._tell_seats()
        return True

    def return_to_seat(self, page: Page, visit: str) -> bool:
        """Give ``page`` back the seat of ``visit``; whether it was that page's."""
        if not self._visit or not hmac.compare_digest(visit.encode(), self._visit.encode()):
            return False
        if self._talker is not None and self._talker is not page:
            self._talker.is_unwanted.set()
        self._talker = page
        self._tell_seats()
        return True

    def tell_seat(self, page: Page) -> None:
        """Tell ``page`` who may talk."""
        if self._talker is page:
            page.send(Seat("yours", self._visit))
        else:
            page.send(Seat("taken" if self.is_taken else "free"))

    def free(self) -> None:
        """The visit is over."""
        self._talker = None
        self._visit = ""
        self._tell_seats()

    def _tell_seats(self) -> None:
        for page in list(self._open):
            self.tell_seat(page)
