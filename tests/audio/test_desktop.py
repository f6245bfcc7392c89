"""Devices that vanish and come back while a conversation runs, against a fake PortAudio."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio import desktop, devices
from voicebot.audio.desktop import DesktopAudio, DesktopChoice
from voicebot.audio.echo import VoiceProcessing
from voicebot.audio.portaudio import Device, OpenStream, Side
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

APART = desktop._apart
RATE_HZ = 16_000
BUILT_IN = Device(
    0, "Built-in", "Fake", 1, 1, RATE_HZ, 10.0, 10.0, is_default_input=True, is_default_output=True
)
HEADSET = Device(1, "Headset", "Fake", 1, 1, RATE_HZ, 10.0, 10.0)

HEADSET_AS_DEFAULT = replace(HEADSET, is_default_input=True, is_default_output=True)


@dataclass
class FakeStream:
    side: Side
    device: Device
    latency: float | str
    callback: Callable[..., None]
    rate_hz: int = RATE_HZ
    is_open: bool = True

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.is_open = False


@dataclass
class Computer:
    """Sound devices that a test plugs in and out; they work while time passes."""

    present: list[Device] = field(default_factory=lambda: [BUILT_IN, HEADSET])
    listed: list[Device] = field(default_factory=list)  # as PortAudio saw them last
    streams: list[FakeStream] = field(default_factory=list)
    played: list[Samples] = field(default_factory=list)
    relists: int = 0
    input_overflows: bool = False

    def __post_init__(self) -> None:
        self.relist()
        self.relists = 0

    def has(self, device: Device) -> bool:
        return device.name in {each.name for each in self.present}

    def relist(self) -> None:
        assert not [each for each in self.streams if each.is_open], "it would end them"
        self.relists += 1
        self.listed = list(self.present)

    def open_stream(self, side: Side, device: Device, **settings: Any) -> OpenStream:
        if not self.has(device):
            raise DeviceError(f"{device.name} cannot be opened", "")
        stream = FakeStream(side, device, settings["latency"], settings["callback"])
        self.streams.append(stream)
        return OpenStream(
            SimpleNamespace(start=stream.start, close=stream.close, latency=0.02), device, RATE_HZ
        )

    async def work(self) -> None:
        """Every 10 ms each stream on a device that is there is called."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.01)
            for stream in [each for each in self.streams if each.is_open]:
                if not self.has(stream.device):
                    continue
                now_s = loop.time()
                time = SimpleNamespace(
                    currentTime=now_s,
                    inputBufferAdcTime=now_s - 0.02,
                    outputBufferDacTime=now_s + 0.02,
                )
                if stream.side is Side.INPUT:
                    status = SimpleNamespace(input_overflow=self.input_overflows)
                    stream.callback(np.full((160, 1), 0.5, np.float32), 160, time, status)
                else:
                    out = np.full((160, 1), np.nan, np.float32)
                    stream.callback(out, 160, time, None)
                    self.played.append(out[:, 0].copy())

    def opened(self, side: Side) -> list[str]:
        return [each.device.name for each in self.streams if each.side is side]


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> Computer:
    fake = Computer()

    async def at_once(work: Callable[[], Any]) -> Any:
        return work()

    monkeypatch.setattr(devices, "open_stream", fake.open_stream)
    monkeypatch.setattr(desktop, "list_devices", lambda: fake.listed)
    monkeypatch.setattr(desktop, "list_devices_afresh", lambda: list(fake.present))
    monkeypatch.setattr(desktop, "relist", fake.relist)
    monkeypatch.setattr(desktop, "_apart", at_once)
    return fake


def choice(wanted: str = "", *, follows_default: bool = False) -> DesktopChoice:
    return DesktopChoice(
        microphone=wanted,
        loudspeaker=wanted,
        sample_rate_hz=RATE_HZ,
        block_ms=10,
        processing=VoiceProcessing(echo_cancellation=False),
        follows_default=follows_default,
    )


class Conversation:
    """What a test sees of the devices."""

    def __init__(self, audio: DesktopAudio, told: list[str]) -> None:
        self.audio = audio
        self.told = told
        self.heard: list[AudioBlock] = []


def converse(
    virtual_time: Run,
    computer: Computer,
    chosen: DesktopChoice,
    story: Callable[[Conversation], Coroutine[Any, Any, None]],
) -> Conversation:
    async def main() -> Conversation:
        told: list[str] = []
        working = asyncio.create_task(computer.work())
        async with DesktopAudio(chosen, told.append) as audio:
            conversation = Conversation(audio, told)

            async def listen() -> None:
                async for block in audio.source.blocks():
                    conversation.heard.append(block)

            listening = asyncio.create_task(listen())
            await asyncio.sleep(1.0)
            await story(conversation)
            audio.microphone.close()
            await listening
        working.cancel()
        assert not [each for each in computer.streams if each.is_open]
        return conversation

    result: Conversation = virtual_time(main())
    return result


def test_a_microphone_that_vanishes_is_followed_and_time_goes_on(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(_: Conversation) -> None:
        computer.present = []
        await asyncio.sleep(6.0)
        computer.present = [BUILT_IN]
        await asyncio.sleep(4.0)

    seen = converse(virtual_time, computer, choice(), story)
    gone = "is gone; the conversation goes on as soon as it or another one is there."
    assert sorted(seen.told) == [
        f"The loudspeaker 'Built-in' {gone}",
        "The loudspeaker is 'Built-in' now.",
        f"The microphone 'Built-in' {gone}",
        "The microphone is 'Built-in' now.",
    ]
    starts = [block.start_s for block in seen.heard]
    assert starts == sorted(starts)
    silent = [block for block in seen.heard if not block.samples.any()]
    assert 3.0 < sum(len(block.samples) for block in silent) / RATE_HZ < 7.0
    assert seen.heard[-1].samples.all(), "it is heard again"
    heard_s = sum(len(block.samples) for block in seen.heard) / RATE_HZ
    assert 8.0 < heard_s <= seen.heard[-1].end_s + 0.01, "no stretch is heard twice"
    assert seen.audio.mishaps() == "1 change of devices"


def test_the_default_device_stands_in_until_the_chosen_one_is_back(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(_: Conversation) -> None:
        computer.present = [BUILT_IN]
        await asyncio.sleep(8.0)
        computer.present = [BUILT_IN, replace(HEADSET, number=7)]
        await asyncio.sleep(8.0)

    seen = converse(virtual_time, computer, choice("headset"), story)
    assert computer.opened(Side.INPUT) == ["Headset", "Built-in", "Headset"]
    assert computer.opened(Side.OUTPUT) == ["Headset", "Built-in", "Headset"]
    assert seen.told[-1] == "The loudspeaker is 'Headset' now."


def test_a_device_chosen_by_number_is_followed_by_name(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(_: Conversation) -> None:
        computer.present = [replace(HEADSET, number=0), replace(BUILT_IN, number=1)]
        computer.listed = list(computer.present)
        for stream in computer.streams:
            stream.device = replace(HEADSET, name="unplugged")
        await asyncio.sleep(8.0)

    converse(virtual_time, computer, choice("1"), story)
    assert set(computer.opened(Side.INPUT)[1:]) == {"Headset"}


def test_one_of_two_devices_of_one_name_is_followed_rather_than_the_default(
    virtual_time: Run, computer: Computer
) -> None:
    computer.present = [BUILT_IN, HEADSET, replace(HEADSET, number=2)]
    computer.relist()

    async def story(seen: Conversation) -> None:
        assert seen.audio.names() == ("Headset", "Headset")
        computer.present = []
        await asyncio.sleep(4.0)
        computer.present = [BUILT_IN, HEADSET, replace(HEADSET, number=2)]
        await asyncio.sleep(4.0)

    converse(virtual_time, computer, choice("2"), story)
    assert set(computer.opened(Side.INPUT)) == {"Headset"}


def test_the_names_are_those_of_the_devices_that_were_opened(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(seen: Conversation) -> None:
        assert seen.audio.names() == ("Built-in", "Built-in")
        computer.present = [HEADSET_AS_DEFAULT]
        await asyncio.sleep(6.0)

    seen = converse(virtual_time, computer, choice(), story)
    assert seen.audio.names() == ("Built-in, then Headset",) * 2


def test_nothing_is_started_anew_while_all_is_well(virtual_time: Run, computer: Computer) -> None:
    async def story(_: Conversation) -> None:
        await asyncio.sleep(60.0)

    seen = converse(virtual_time, computer, choice("headset"), story)
    assert (seen.told, computer.relists, len(computer.streams)) == ([], 0, 2)
    assert seen.audio.mishaps() == ""


@pytest.mark.parametrize("follows", [True, False])
def test_a_new_default_device_is_followed_where_the_system_does_not(
    virtual_time: Run, computer: Computer, follows: bool
) -> None:
    async def story(_: Conversation) -> None:
        computer.present = [
            replace(BUILT_IN, is_default_input=False, is_default_output=False),
            replace(HEADSET, is_default_input=True, is_default_output=True),
        ]
        await asyncio.sleep(8.0)

    converse(virtual_time, computer, choice(follows_default=follows), story)
    expected = ["Built-in", "Headset"] if follows else ["Built-in"]
    assert list(dict.fromkeys(computer.opened(Side.INPUT))) == expected


def test_a_reply_goes_on_where_the_loudspeaker_left_it(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(seen: Conversation) -> None:
        seen.audio.sink.begin()
        seen.audio.sink.write(np.full(RATE_HZ, 0.25, np.float32))
        await asyncio.sleep(0.5)
        computer.present = []
        await asyncio.sleep(2.5)
        assert seen.audio.sink.ends_s > asyncio.get_running_loop().time(), "it is not over"
        computer.present = [BUILT_IN]
        await asyncio.sleep(4.0)

    converse(virtual_time, computer, choice(), story)
    assert np.count_nonzero(np.concatenate(computer.played)) == pytest.approx(RATE_HZ, abs=1)


def test_a_reply_is_dropped_when_the_loudspeaker_stays_away(
    virtual_time: Run, computer: Computer
) -> None:
    async def story(seen: Conversation) -> None:
        seen.audio.sink.begin()
        seen.audio.sink.write(np.full(RATE_HZ * 2, 0.25, np.float32))
        await asyncio.sleep(0.5)
        computer.present = []
        await asyncio.sleep(12.0)
        computer.present = [BUILT_IN]
        await asyncio.sleep(4.0)

    converse(virtual_time, computer, choice(), story)
    assert np.count_nonzero(np.concatenate(computer.played)) < RATE_HZ


def test_latency_is_raised_when_samples_are_lost(virtual_time: Run, computer: Computer) -> None:
    async def story(_: Conversation) -> None:
        computer.input_overflows = True
        await asyncio.sleep(5.0)

    seen = converse(virtual_time, computer, choice(), story)
    latencies = [each.latency for each in computer.streams if each.side is Side.INPUT]
    assert latencies == ["low", 0.02, "high"]
    assert [each.latency for each in computer.streams if each.side is Side.OUTPUT] == ["low"]
    assert "overruns of the microphone" in seen.audio.mishaps()
    assert seen.told == []


def test_what_nobody_expected_is_told_once_and_devices_are_followed_all_the_same(
    virtual_time: Run, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(_: Conversation) -> None:
        def broken() -> list[Device]:
            raise RuntimeError("a driver's own")

        monkeypatch.setattr(desktop, "list_devices_afresh", broken)
        computer.present = []
        await asyncio.sleep(12.0)
        computer.present = [BUILT_IN]
        monkeypatch.setattr(desktop, "list_devices_afresh", lambda: list(computer.present))
        await asyncio.sleep(6.0)

    seen = converse(virtual_time, computer, choice(), story)
    (failure,) = [line for line in seen.told if "driver's own" in line]
    assert failure.startswith("voicebot: following the sound devices failed (RuntimeError: ")
    assert len([line for line in seen.told if "is gone" in line]) == 2
    assert len([line for line in seen.told if line.endswith("now.")]) == 2
    assert seen.heard[-1].samples.all(), "it is heard again"


def test_a_stream_that_opens_after_it_was_given_up_is_closed_again(
    computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a thread, as it happens where the sound system hangs for a while."""
    monkeypatch.setattr(desktop, "_apart", APART)
    monkeypatch.setattr(desktop, "_OWN_ANSWER_S", 0.05)
    hangs, ends = threading.Event(), threading.Event()
    ends.set()

    def slow(side: Side, device: Device, **settings: Any) -> OpenStream:
        hangs.set()
        ends.wait(10.0)
        return computer.open_stream(side, device, **settings)

    async def main() -> None:
        async with DesktopAudio(choice(), lambda _: None) as audio:
            monkeypatch.setattr(devices, "open_stream", slow)
            ends.clear()
            assert not await audio._reopen(), "it is given up"
            assert hangs.is_set()
            ends.set()
            with audio._opening_lock:
                assert not [each for each in computer.streams if each.is_open]
            assert len(computer.streams) > 2, "it did open"
            monkeypatch.setattr(devices, "open_stream", computer.open_stream)
            monkeypatch.setattr(desktop, "_OWN_ANSWER_S", 10.0)
            assert await audio._reopen()
            assert len([each for each in computer.streams if each.is_open]) == 2
        assert not [each for each in computer.streams if each.is_open]

    asyncio.run(main())


@pytest.mark.parametrize(("frames", "told"), [(3, ""), (120, "1200 ms without echo cancellation")])
def test_echo_that_could_not_be_cancelled_is_told(frames: int, told: str) -> None:
    audio = DesktopAudio(choice(), lambda _: None)
    cleaner: Any = SimpleNamespace(frames_without_far_end=frames)
    audio._cleaner = cleaner
    assert audio.mishaps() == told


def test_an_absent_device_at_the_start_is_an_error(virtual_time: Run, computer: Computer) -> None:
    computer.present = computer.listed = []

    async def main() -> None:
        async with DesktopAudio(choice(), lambda _: None):
            pass

    with pytest.raises(DeviceError, match="no microphone found"):
        virtual_time(main())
