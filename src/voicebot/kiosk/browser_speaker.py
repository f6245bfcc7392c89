"""The browser as an ``AudioSink``.

Every sample is sent with the frame of the page's playback clock at which it is to play, so that
its DAC time is known before it is sent. The first of an utterance is placed as far ahead as the
way to the page takes: that lead is the jitter buffer. What comes too late is played later, its
utterance shifted as a whole, which the page tells; the lead then grows.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.kiosk.page_messages import Clear
from voicebot.kiosk.protocol import ReplyFrame, to_pcm

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.kiosk.clocks import PageClock, PlaybackClock

__all__ = ["BrowserSpeaker", "PlayerLink"]

_LEAD_LEAST_S = 0.010
_LEAD_FIRST_S = 0.020
_LEAD_MOST_S = 0.400
_LEAD_EASE_S = 0.001
_CUT_GUARD_S = 0.003
_FRAME_SAMPLES = 4096
_ABSENT_LATENCY_S = 0.05


class PlayerLink(Protocol):
    """The way to a page that plays."""

    @property
    def page_clock(self) -> PageClock:
        """The page's clock."""
        ...

    @property
    def playback_clock(self) -> PlaybackClock:
        """Where the page's playback is."""
        ...

    def send_reply(self, frame: ReplyFrame) -> None:
        """Queue a frame of audio; never waits."""
        ...

    def send_clear(self, clear: Clear) -> None:
        """Queue the order to fall silent; never waits."""
        ...


class BrowserSpeaker:
    """Plays on whichever page has the seat.

    While there is none, time goes on by arithmetic; what is still to be heard when a page comes
    (again) is played there.

    Args:
        sample_rate_hz: of what is written; the page's audio context has the same.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._link: PlayerLink | None = None
        self._lead_s = _LEAD_FIRST_S
        self._cursor = 0  # the frame behind the last queued one, before the shift
        self._shift = 0  # by how many frames the page plays this utterance later
        self._utterance = 0
        self._in_utterance = False
        self._underruns = 0
        self._frames_sent = 0
        self._clears_sent = 0
        self._clears: dict[int, int] = {}
        self._queued: deque[tuple[int, Samples]] = deque()  # actual first frame, samples
        self.late_clears = 0
        self.late_utterances = 0

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is written."""
        return self._rate

    @property
    def underruns(self) -> int:
        """How often an utterance ran dry before its next samples came."""
        return self._underruns

    @property
    def utterance(self) -> int:
        """The number of the present utterance."""
        return self._utterance

    @property
    def lead_ms(self) -> float:
        """How far ahead of the page's playback an utterance is placed."""
        return self._lead_s * 1000.0

    @property
    def ends_s(self) -> float:
        """The instant behind the last queued sample."""
        return self._leaves_s(self._cursor + self._shift)

    def is_attached_to(self, link: PlayerLink) -> bool:
        """Whether it plays there."""
        return self._link is link

    def attach(self, link: PlayerLink) -> None:
        """Play there from now on; its clocks are known."""
        now_s = self._now()
        left = [
            (self._leaves_s(first), samples)
            for first, samples in self._queued
            if self._leaves_s(first + len(samples)) > now_s
        ]
        self._link = link
        self._clears = {}
        self._queued.clear()
        self._shift = 0
        self._cursor = self._earliest(now_s)
        self._utterance += 1
        for index, (starts_s, samples) in enumerate(left):
            heard = max(0, round((now_s - starts_s) * self._rate)) if index == 0 else 0
            self._enqueue(samples[heard:])

    def detach(self) -> None:
        """The page is gone; what it has not played is kept for the next."""
        if self._link is None:
            return
        instants = [(self._leaves_s(first), samples) for first, samples in self._queued]
        ends_s = self.ends_s
        self._link = None
        self._shift = 0
        self._queued = deque((self._absent_frame(starts_s), some) for starts_s, some in instants)
        self._cursor = self._absent_frame(ends_s)

    def begin(self) -> None:
        """A new utterance starts."""
        self._cursor += self._shift
        self._shift = 0
        self._utterance += 1
        self._in_utterance = False
        self._lead_s = max(_LEAD_LEAST_S, self._lead_s - _LEAD_EASE_S)

    def write(self, samples: Samples) -> float:
        """Queue ``samples``; give the DAC time of the first of them."""
        now_s = self._now()
        earliest = self._earliest(now_s) - self._shift
        if self._cursor < earliest:
            self._underruns += self._in_utterance
            self._cursor = earliest
        self._in_utterance = True
        self._forget_played(now_s)
        starts_s = self._leaves_s(self._cursor + self._shift)
        self._enqueue(np.asarray(samples, dtype=np.float32))
        return starts_s

    def clear(self) -> float:
        """Drop all that is queued, at the first frame that the order can still reach."""
        cut = min(self._cut(self._now()), self._cursor + self._shift)
        kept = [(first, some[: cut - first]) for first, some in self._queued if first < cut]
        self._queued = deque(kept)
        self._cursor, self._shift = cut, 0
        self._in_utterance = False
        if self._link is not None:
            self._clears_sent += 1
            self._clears[self._clears_sent] = cut
            self._link.send_clear(Clear(self._clears_sent, cut))
        return self._leaves_s(cut)

    # What the page tells.

    def was_cleared(self, sequence: int, frame: int) -> None:
        """The page fell silent at ``frame``; a sequence that is not open counts for nothing."""
        wanted = self._clears.pop(sequence, None)
        if wanted is not None and frame > wanted:
            self.late_clears += 1

    def was_late(self, utterance: int, frames: int) -> None:
        """The page plays ``utterance`` later by so many frames."""
        if utterance != self._utterance or frames <= self._shift:
            return
        late_s = (frames - self._shift) / self._rate
        self._shift = frames
        self.late_utterances += 1
        self._lead_s = min(_LEAD_MOST_S, self._lead_s + late_s + _LEAD_LEAST_S / 2)

    def _enqueue(self, samples: Samples) -> None:
        self._queued.append((self._cursor + self._shift, samples))
        for at in range(0, len(samples), _FRAME_SAMPLES):
            part = samples[at : at + _FRAME_SAMPLES]
            if self._link is not None:
                first = self._cursor + at
                frame = ReplyFrame(self._frames_sent, first, self._utterance, to_pcm(part))
                self._frames_sent += 1
                self._link.send_reply(frame)
        self._cursor += len(samples)

    def _forget_played(self, now_s: float) -> None:
        while self._queued:
            first, samples = self._queued[0]
            if self._leaves_s(first + len(samples)) > now_s:
                return
            self._queued.popleft()

    def _earliest(self, now_s: float) -> int:
        """The first frame at which something that is sent now can play."""
        if self._link is None:
            return self._absent_frame(now_s + _ABSENT_LATENCY_S)
        way_s = self._link.page_clock.half_trip_s + self._lead_s
        return self._link.playback_clock.rendered_frame(now_s + way_s)

    def _cut(self, now_s: float) -> int:
        """The first frame from which on an order that is sent now can silence the page."""
        if self._link is None:
            return self._absent_frame(now_s)
        way_s = self._link.page_clock.half_trip_s + _CUT_GUARD_S
        return self._link.playback_clock.rendered_frame(now_s + way_s)

    def _leaves_s(self, frame: int) -> float:
        if self._link is None:
            return frame / self._rate
        return self._link.playback_clock.leaves_s(frame)

    def _absent_frame(self, at_s: float) -> int:
        return max(0, math.ceil(at_s * self._rate))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
