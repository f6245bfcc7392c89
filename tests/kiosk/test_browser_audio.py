"""The browser as microphone and loudspeaker, against a page that is simulated to the frame."""

from __future__ import annotations

import asyncio
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.kiosk.browser_microphone import BrowserMicrophone
from voicebot.kiosk.browser_speaker import BrowserSpeaker
from voicebot.kiosk.clocks import PageClock, PlaybackClock
from voicebot.kiosk.protocol import MicrophoneFrame, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from voicebot.audio.blocks import AudioBlock
    from voicebot.kiosk.page_messages import Clear
    from voicebot.kiosk.protocol import ReplyFrame

    RunInVirtualTime = Callable[[Coroutine[Any, Any, Any]], Any]

RATE_HZ = 1000
WAY_S = 0.005
LATENCY_S = 0.04


class SimulatedPage:
    """Plays as the worklet does; its frames count from the loop's 0, its output is 40 ms late."""

    def __init__(self, way_s: float = WAY_S) -> None:
        self.way_s = way_s
        self.page_clock = PageClock()
        self.playback_clock = PlaybackClock(RATE_HZ)
        self.played: dict[int, float] = {}
        self.shifts: dict[int, int] = {}
        self.late: list[tuple[int, int]] = []
        self.cleared: list[tuple[int, int]] = []
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        self.page_clock.observe(sent_s=now_s - WAY_S, page_s=now_s, received_s=now_s + WAY_S)
        frame = self.frame()
        self.playback_clock.observe(
            rendered_frame=frame, at_s=now_s, output_frame=frame, output_at_s=now_s + LATENCY_S
        )

    def frame(self) -> int:
        return round(self._loop.time() * RATE_HZ)

    def send_reply(self, frame: ReplyFrame) -> None:
        self._loop.call_later(self.way_s, self._play, frame)

    def send_clear(self, clear: Clear) -> None:
        self._loop.call_later(self.way_s, self._clear, clear)

    def _play(self, frame: ReplyFrame) -> None:
        shift = self.shifts.get(frame.utterance, 0)
        late = self.frame() - (frame.first_frame + shift)
        if late > 0:
            shift += late
            self.shifts[frame.utterance] = shift
            self.late.append((frame.utterance, shift))
        for index, sample in enumerate(frame.samples):
            self.played[frame.first_frame + shift + index] = float(sample)

    def _clear(self, clear: Clear) -> None:
        at = max(clear.frame, self.frame())
        self.played = {frame: value for frame, value in self.played.items() if frame < at}
        self.cleared.append((clear.sequence, at))


def sound(count: int, value: float = 0.5) -> np.ndarray:
    return np.full(count, value, dtype=np.float32)


def test_every_sample_leaves_when_the_sink_said(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        await asyncio.sleep(1.0)
        page, speaker = SimulatedPage(), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        speaker.begin()
        first_s = speaker.write(sound(100))
        second_s = speaker.write(sound(50))
        await asyncio.sleep(1.0)
        assert min(page.played) / RATE_HZ + LATENCY_S == pytest.approx(first_s)
        assert second_s - first_s == pytest.approx(0.1)
        assert sorted(page.played) == list(range(min(page.played), min(page.played) + 150))
        assert speaker.ends_s == pytest.approx(first_s + 0.15)
        assert not page.late
        assert speaker.underruns == 0

    virtual_time(main())


def test_a_gap_within_an_utterance_is_an_underrun_and_between_two_none(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        page, speaker = SimulatedPage(), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        for utterance in range(2):
            speaker.begin()
            speaker.write(sound(10))
            await asyncio.sleep(1.0)
            assert speaker.underruns == utterance
            speaker.write(sound(10))
            assert speaker.underruns == utterance + 1
            await asyncio.sleep(1.0)
        assert len(page.played) == 40

    virtual_time(main())


def test_clear_cuts_at_the_frame_that_the_sink_names(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        page, speaker = SimulatedPage(), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        speaker.begin()
        speaker.write(sound(2000))
        await asyncio.sleep(0.5)
        now_s = asyncio.get_running_loop().time()
        silent_from_s = speaker.clear()
        await asyncio.sleep(0.1)
        assert (max(page.played) + 1) / RATE_HZ + LATENCY_S == pytest.approx(silent_from_s)
        assert silent_from_s - LATENCY_S - now_s < 0.015
        speaker.was_cleared(*page.cleared[0])
        assert speaker.late_clears == 0
        # What comes after it plays, behind the cut.
        speaker.begin()
        speaker.write(sound(10))
        await asyncio.sleep(0.2)
        assert max(page.played) / RATE_HZ + LATENCY_S >= silent_from_s

    virtual_time(main())


def test_a_clear_that_was_held_up_is_counted(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        page, speaker = SimulatedPage(), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        speaker.begin()
        speaker.write(sound(2000))
        await asyncio.sleep(0.5)
        page.way_s = 0.2
        speaker.clear()
        await asyncio.sleep(0.3)
        speaker.was_cleared(*page.cleared[0])
        speaker.was_cleared(*page.cleared[0])
        speaker.was_cleared(99, 10**6)
        assert speaker.late_clears == 1

    virtual_time(main())


def test_nothing_queued_is_nothing_to_clear(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        page, speaker = SimulatedPage(), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        speaker.begin()
        ends_s = speaker.write(sound(100)) + 0.1
        await asyncio.sleep(2.0)
        assert speaker.clear() == pytest.approx(ends_s)

    virtual_time(main())


def test_late_audio_shifts_its_utterance_and_the_next_is_placed_further_ahead(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        page, speaker = SimulatedPage(way_s=0.1), BrowserSpeaker(RATE_HZ)
        speaker.attach(page)
        speaker.begin()
        speaker.write(sound(300))
        await asyncio.sleep(0.15)
        utterance, shift = page.late[-1]
        assert shift > 0
        speaker.was_late(utterance, shift)
        second_s = speaker.write(sound(100))
        await asyncio.sleep(0.5)
        assert len(page.played) == 400
        assert (min(page.played) + 300) / RATE_HZ + LATENCY_S == pytest.approx(second_s)
        assert speaker.late_utterances == 1
        page.late.clear()
        speaker.begin()
        speaker.write(sound(100))
        await asyncio.sleep(0.5)
        assert not page.late

    virtual_time(main())


def test_without_a_page_time_goes_on_and_a_new_page_plays_what_is_left(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        speaker = BrowserSpeaker(RATE_HZ)
        speaker.begin()
        starts_s = speaker.write(sound(1000))
        assert starts_s == pytest.approx(0.05, abs=0.002)
        await asyncio.sleep(0.6)
        page = SimulatedPage()
        speaker.attach(page)
        await asyncio.sleep(2.0)
        assert 400 <= len(page.played) <= 460
        speaker.begin()
        speaker.write(sound(1000))
        await asyncio.sleep(0.5)
        speaker.detach()
        left_s = speaker.ends_s - asyncio.get_running_loop().time()
        assert left_s == pytest.approx(0.57, abs=0.02)
        other = SimulatedPage()
        speaker.attach(other)
        await asyncio.sleep(2.0)
        assert len(other.played) == pytest.approx(540, abs=30)

    virtual_time(main())


# The microphone.


def frame_of(
    index: int, *, rate_hz: int = 16_000, count: int = 160, at_s: float
) -> MicrophoneFrame:
    samples = np.full(count, 1000 + index, dtype=np.int16)
    return MicrophoneFrame(index, index * count, at_s * 1000.0, samples)


async def listen(microphone: BrowserMicrophone, into: list[AudioBlock]) -> None:
    async for block in microphone.blocks():
        into.append(block)  # noqa: PERF401  # seen while it goes on


def attached(rate_hz: int = 16_000) -> BrowserMicrophone:
    clock = PageClock()
    now_s = asyncio.get_running_loop().time()
    clock.observe(sent_s=now_s, page_s=now_s, received_s=now_s)
    microphone = BrowserMicrophone()
    microphone.attach(rate_hz, clock, input_latency_s=0.01)
    return microphone


@pytest.mark.parametrize(("rate_hz", "count"), [(16_000, 160), (48_000, 480), (44_100, 441)])
def test_blocks_have_the_instants_at_which_they_were_taken(
    virtual_time: RunInVirtualTime, rate_hz: int, count: int
) -> None:
    async def main() -> None:
        microphone = attached(rate_hz)
        blocks: list[AudioBlock] = []
        listening = asyncio.create_task(listen(microphone, blocks))
        await asyncio.sleep(0)
        for index in range(100):
            await asyncio.sleep(0.01)
            now_s = asyncio.get_running_loop().time()
            microphone.push(frame_of(index, rate_hz=rate_hz, count=count, at_s=now_s))
        microphone.close()
        await listening
        assert sum(len(block.samples) for block in blocks) == pytest.approx(16_000, abs=400)
        ends = accumulate(len(block.samples) for block in blocks)
        for block, count_so_far in zip(blocks, ends, strict=True):
            expected_s = blocks[0].start_s + count_so_far / 16_000
            assert block.end_s == pytest.approx(expected_s, abs=0.001)
        assert blocks[0].start_s == pytest.approx(-0.01, abs=0.002)

    virtual_time(main())


def test_silence_stands_in_while_there_is_no_page(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        microphone = attached()
        blocks: list[AudioBlock] = []
        listening = asyncio.create_task(listen(microphone, blocks))
        await asyncio.sleep(0)
        for index in range(20):
            await asyncio.sleep(0.01)
            microphone.push(frame_of(index, at_s=asyncio.get_running_loop().time()))
        microphone.detach()
        await asyncio.sleep(2.0)
        quiet_s = blocks[-1].end_s
        assert quiet_s == pytest.approx(asyncio.get_running_loop().time(), abs=0.05)
        for before, after in pairwise(blocks):
            assert after.start_s >= before.end_s - 0.005
        assert not blocks[-1].samples.any()
        # The page comes back, with a clock that begins anew.
        clock = PageClock()
        clock.observe(sent_s=2.2, page_s=0.0, received_s=2.2)
        microphone.attach(16_000, clock, input_latency_s=0.0)
        for index in range(20):
            await asyncio.sleep(0.01)
            page_s = asyncio.get_running_loop().time() - 2.2
            microphone.push(frame_of(index, at_s=page_s))
        await asyncio.sleep(0)
        microphone.close()
        await listening
        assert blocks[-1].samples.any()
        assert blocks[-1].end_s == pytest.approx(asyncio.get_running_loop().time(), abs=0.03)
        for before, after in pairwise(blocks):
            assert after.start_s >= before.end_s - 0.005

    virtual_time(main())


def test_lost_frames_are_counted_and_frames_from_the_past_refused(
    virtual_time: RunInVirtualTime,
) -> None:
    async def main() -> None:
        microphone = attached()
        microphone.push(frame_of(0, at_s=0.01))
        microphone.push(frame_of(5, at_s=0.06))
        assert microphone.lost_samples == 4 * 160
        for stale in (frame_of(5, at_s=0.06), frame_of(3, at_s=0.04)):
            with pytest.raises(ProtocolError):
                microphone.push(stale)
        with pytest.raises(ProtocolError):
            microphone.attach(7, PageClock(), input_latency_s=0.0)

    virtual_time(main())


def test_a_flood_is_dropped_not_hoarded(virtual_time: RunInVirtualTime) -> None:
    async def main() -> None:
        microphone = attached()
        for index in range(2000):
            microphone.push(frame_of(index, at_s=0.01 * (index + 1)))
        assert microphone._queue.qsize() <= 500

    virtual_time(main())
